/** Prints docker/<role>.env.example: every setting of a role that is run from docker/compose.<role>.yml. */
import { envTemplate, type Settings } from '@horde/kit/config'
import { minerSettings } from '@horde/miner/config'
import { validatorSettings } from '@horde/validator/config'
import { composeSettings, type Role } from './compose-settings.ts'

const SETTINGS: Record<Role, Settings> = { validator: validatorSettings, miner: minerSettings }

/** Settings that the compose file fixes, because they say where things are inside the container. */
export const FIXED_BY_COMPOSE: readonly string[] = [
  'ADDRESS_FOR_EXECUTORS',
  'ADMIN_HOST',
  'ADMIN_PORT',
  'BITTENSOR_MINER_PORT',
  'BITTENSOR_WALLET_DIRECTORY',
  'DATABASE_URL',
  'DISK_FOLDERS',
  'DOCKER_SOCKET',
  'EXECUTOR_IMAGE',
  'EXECUTOR_NETWORK',
  'LISTEN_HOST_FOR_EXECUTORS',
  'PORT_FOR_EXECUTORS',
]

/** What Compose itself reads from the file. */
export const COMPOSE_VARIABLES: readonly string[] = ['COMPOSE_PROJECT_NAME', 'COMPOSE_PROFILES']

/** The example file of a role, ready to be written. */
export function envExample(role: Role): string {
  const settings = Object.entries(SETTINGS[role]).filter(([name]) => !FIXED_BY_COMPOSE.includes(name))
  return [
    `# Settings of a ${role}: copy this file to .env beside compose.${role}.yml and fill in what is empty.`,
    '# Write values without quotes, and a dollar sign as $$.',
    '',
    '# The name of the Compose project: containers and volumes are named after it.',
    `COMPOSE_PROJECT_NAME=compute-horde-${role}`,
    '',
    '# What runs beside the role. The profile `monitoring` is Prometheus and Grafana. Example: monitoring',
    '#COMPOSE_PROFILES=',
    '',
    '# What the compose file itself needs.',
    '',
    envTemplate(composeSettings(role)),
    `# The ${role}'s own settings. A line that is commented out shows the default.`,
    '',
    envTemplate(Object.fromEntries(settings)),
  ].join('\n')
}
