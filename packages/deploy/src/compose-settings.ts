/** The variables of docker/compose.<role>.yml. Both versions of Compose read them from `.env` beside the file. */
import { defineSettings, envPort, setting } from '@horde/kit/config'
import { z } from 'zod'

/** Roles that have a compose file. */
export type Role = 'validator' | 'miner'

/** Ports on the server's loopback address. */
const ADMIN_PORTS: Record<Role, number> = { validator: 8001, miner: 8002 }
const GRAFANA_PORTS: Record<Role, number> = { validator: 3001, miner: 3002 }

/** Variables that come from the shell, not from `.env`: a certificate, which has several lines, does not fit there. */
export const SHELL_VARIABLES = ['CA_CERTIFICATE', 'ENV_FILE', 'REVISION']

/** Returns the variables of a role's compose file, with their defaults and descriptions. */
export function composeSettings(role: Role) {
  return defineSettings({
    POSTGRES_PASSWORD: setting(z.string(), {
      about:
        'The database password, of letters and digits. Do not change it after the first start: the database keeps it.',
      example: 'what `openssl rand -hex 24` prints',
      secret: true,
    }),
    WALLET_FOLDER: text('./wallet', {
      about: 'The folder on the server with the wallets, as <wallet>/hotkeys/<hotkey>. It is mounted read-only.',
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
    MEMORY_LIMIT: text('1g', { about: `The most memory that the ${role} may use.`, example: '2g' }),
    POSTGRES_MEMORY_LIMIT: text('1g', { about: 'The most memory that the database may use.', example: '2g' }),
    ...imageSettings,
  })
}

const validatorSettings = defineSettings({
  WALLET_USER: text('1000:1000', {
    about: "The ids of the user and the group that own the wallet's files. The validator runs as this user.",
    example: '1000:1000',
  }),
})

const minerSettings = defineSettings({
  PUBLIC_PORT: setting(envPort.default(8000), {
    about: 'The port that validators connect to. It is open to the internet, and the miner announces it on the chain.',
    example: '8000',
  }),
  PUBLIC_ADDRESS: text('0.0.0.0', {
    about: 'The address of the server on which PUBLIC_PORT is open. 0.0.0.0: all its addresses.',
    example: '203.0.113.7',
  }),
  DOCKER_SOCKET: text('/var/run/docker.sock', {
    about: 'The socket of Docker on the server. The miner starts executors with it.',
    example: '/run/user/1000/docker.sock',
  }),
  DOCKER_DATA_FOLDER: text('/var/lib/docker', {
    about:
      "Docker's data folder, which `docker info` prints as Docker Root Dir. The miner checks how full its disk is.",
    example: '/data/docker',
  }),
  EXECUTOR_NETWORK: text('compute-horde-executors', {
    about: 'The Docker network of the executors. Each miner on a server needs its own.',
    example: 'compute-horde-executors',
  }),
})

const imageSettings = defineSettings({
  IMAGE_PREFIX: text('compute-horde', {
    about: 'The prefix of the names of the images: a registry with a folder, or a local name.',
    example: 'registry.example/compute-horde',
  }),
  COMPUTE_HORDE_VERSION: text('dev', { about: 'The version of the images, which is their tag.', example: '0.1.0' }),
  POSTGRES_IMAGE: text('postgres:15', {
    about: 'The image of the database. With its digest, as postgres:15@sha256:..., every pull gets the same image.',
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
  SOURCE_FOLDER: text('..', { about: 'The checkout from which Compose builds missing images.', example: './source' }),
  BASE_IMAGE: text('debian:bookworm-slim', {
    about: 'The base image of builds: any Debian or Ubuntu.',
    example: 'debian:bookworm-slim',
  }),
  NPM_REGISTRY: text('https://registry.npmjs.org/', {
    about: 'The npm registry from which builds download dependencies.',
    example: 'https://registry.npmjs.org/',
  }),
})

function text(defaultValue: string, description: { about: string; example: string }) {
  return setting(z.string().default(defaultValue), description)
}
