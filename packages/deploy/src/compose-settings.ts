/** The variables that docker/compose.<role>.yml puts into its own text; both Compose versions read them from `.env` beside it. */
import { defineSettings, envPort, setting } from '@horde/kit/config'
import { z } from 'zod'

/** Roles that have a compose file. */
export type Role = 'validator' | 'miner'

/** The port on the server's loopback address that leads to a role's admin port. */
const ADMIN_PORTS: Record<Role, number> = { validator: 8001, miner: 8002 }

export function composeSettings(role: Role) {
  return defineSettings({
    POSTGRES_PASSWORD: setting(z.string(), {
      about: "The database's password: letters and digits, made once, for it is stored in the database's volume.",
      example: 'the output of: openssl rand -hex 24',
      secret: true,
    }),
    WALLET_FOLDER: setting(z.string().default('./wallet'), {
      about: 'The folder on the server that holds the wallets, as <wallet>/hotkeys/<hotkey>; mounted read-only.',
      example: '/home/me/.bittensor/wallets',
    }),
    ...(role === 'miner' ? minerComposeSettings : {}),
    ADMIN_PORT: setting(envPort.default(ADMIN_PORTS[role]), {
      about: "The port of the status page, /health and /metrics, on the server's loopback address only.",
      example: String(ADMIN_PORTS[role]),
    }),
    IMAGE_PREFIX: setting(z.string().default('compute-horde'), {
      about: 'What stands before the names of the images: a registry and a folder there, or a local name.',
      example: 'registry.example/compute-horde',
    }),
    COMPUTE_HORDE_VERSION: setting(z.string().default('dev'), {
      about: 'The version of the images, as their tag.',
      example: '0.1.0',
    }),
  })
}

const minerComposeSettings = defineSettings({
  PUBLIC_PORT: setting(envPort.default(8000), {
    about: 'The port that validators dial, open to the internet, and announced on the chain.',
    example: '8000',
  }),
})
