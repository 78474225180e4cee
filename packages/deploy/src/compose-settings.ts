/** The variables that docker/compose.<role>.yml puts into its own text; both Compose versions read them from `.env` beside it. */
import { defineSettings, envPort, setting } from '@horde/kit/config'
import { z } from 'zod'

/** Roles that have a compose file. */
export type Role = 'validator' | 'miner'

/** Ports on the server's loopback address. */
const ADMIN_PORTS: Record<Role, number> = { validator: 8001, miner: 8002 }
const GRAFANA_PORTS: Record<Role, number> = { validator: 3001, miner: 3002 }

/** Variables that are taken from the shell and not written to a file: a certificate has several lines. */
export const SHELL_VARIABLES = ['CA_CERTIFICATE', 'ENV_FILE', 'REVISION']

export function composeSettings(role: Role) {
  return defineSettings({
    POSTGRES_PASSWORD: setting(z.string(), {
      about:
        "The database's password, letters and digits. Stays as it is after the first start: the database remembers it.",
      example: 'what `openssl rand -hex 24` prints',
      secret: true,
    }),
    WALLET_FOLDER: text('./wallet', {
      about: 'The folder on the server that holds the wallets, as <wallet>/hotkeys/<hotkey>; mounted read-only.',
      example: '/home/me/.bittensor/wallets',
    }),
    ...(role === 'miner' ? minerSettings : validatorSettings),
    ADMIN_PORT: setting(envPort.default(ADMIN_PORTS[role]), {
      about: "The port of the status page, /health and /metrics, on the server's loopback address only.",
      example: String(ADMIN_PORTS[role]),
    }),
    GRAFANA_PORT: setting(envPort.default(GRAFANA_PORTS[role]), {
      about: "The port of Grafana in the profile `monitoring`, on the server's loopback address only.",
      example: String(GRAFANA_PORTS[role]),
    }),
    MEMORY_LIMIT: text('1g', { about: `The most memory that the ${role} may take.`, example: '2g' }),
    POSTGRES_MEMORY_LIMIT: text('1g', { about: 'The most memory that the database may take.', example: '2g' }),
    ...imageSettings,
  })
}

const validatorSettings = defineSettings({
  WALLET_USER: text('1000:1000', {
    about: "The ids of the user and the group that own the wallet's files: the validator runs as this user.",
    example: '1000:1000',
  }),
})

const minerSettings = defineSettings({
  PUBLIC_PORT: setting(envPort.default(8000), {
    about: 'The port that validators dial: open to the internet, and announced on the chain.',
    example: '8000',
  }),
  PUBLIC_ADDRESS: text('0.0.0.0', {
    about: 'The address of the server that PUBLIC_PORT is opened on. 0.0.0.0: all that it has.',
    example: '203.0.113.7',
  }),
  DOCKER_SOCKET: text('/var/run/docker.sock', {
    about: "The engine's socket on the server, by which the miner starts executors.",
    example: '/run/user/1000/docker.sock',
  }),
  DOCKER_DATA_FOLDER: text('/var/lib/docker', {
    about:
      "The engine's data folder, as `docker info` says it (Docker Root Dir): the miner watches how full its disk is.",
    example: '/data/docker',
  }),
  EXECUTOR_NETWORK: text('compute-horde-executors', {
    about: "The network of executors' containers. Of its own for each miner on a server.",
    example: 'compute-horde-executors',
  }),
})

const imageSettings = defineSettings({
  IMAGE_PREFIX: text('compute-horde', {
    about: 'What stands before the names of the images: a registry and a folder there, or a local name.',
    example: 'registry.example/compute-horde',
  }),
  COMPUTE_HORDE_VERSION: text('dev', { about: 'The version of the images: their tag.', example: '0.1.0' }),
  POSTGRES_IMAGE: text('postgres:15', {
    about: 'The image of the database. With its digest, as postgres:15@sha256:..., it is the same one at every pull.',
    example: 'postgres:15',
  }),
  PROMETHEUS_IMAGE: text('prom/prometheus:v2.53.5', {
    about: 'The image of Prometheus, for the profile `monitoring`.',
    example: 'prom/prometheus:v2.53.5',
  }),
  GRAFANA_IMAGE: text('grafana/grafana:11.6.0', {
    about: 'The image of Grafana, for the profile `monitoring`.',
    example: 'grafana/grafana:11.6.0',
  }),
  SOURCE_FOLDER: text('..', { about: 'The checkout that missing images are built from.', example: './source' }),
  BASE_IMAGE: text('debian:bookworm-slim', {
    about: 'The image that builds begin with: any Debian or Ubuntu.',
    example: 'debian:bookworm-slim',
  }),
  NPM_REGISTRY: text('https://registry.npmjs.org/', {
    about: 'The npm registry that builds take dependencies from.',
    example: 'https://registry.npmjs.org/',
  }),
})

function text(byDefault: string, words: { about: string; example: string }) {
  return setting(z.string().default(byDefault), words)
}
