/** Makes docker/<role>.env.example: every setting of a role that runs from docker/compose.<role>.yml. */
import { envTemplate, type Settings } from '@horde/kit/config'
import { minerSettings } from '@horde/miner/config'
import { validatorSettings } from '@horde/validator/config'
import { composeSettings, type Role } from './compose-settings.ts'

const SETTINGS: Record<Role, Settings> = { validator: validatorSettings, miner: minerSettings }

/** Settings that the compose file sets itself, because they name ports and paths inside the container. */
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

/** The variables in `.env` that Compose itself reads. */
export const COMPOSE_VARIABLES: readonly string[] = ['COMPOSE_PROJECT_NAME', 'COMPOSE_PROFILES']

/** Returns the text of a role's example file. */
export function envExample(role: Role): string {
  const settings = Object.entries(SETTINGS[role]).filter(([name]) => !FIXED_BY_COMPOSE.includes(name))
  return [
    `# Settings of a ${role}: copy this file to .env beside compose.${role}.yml and fill in the empty ones.`,
    '# Write values without quotes. Write a dollar sign as $$.',
    '',
    '# The name of the Compose project. The names of its containers and volumes begin with it.',
    `COMPOSE_PROJECT_NAME=compute-horde-${role}`,
    '',
    '# What else Compose starts. The profile `monitoring` starts Prometheus and Grafana. Example: monitoring',
    '#COMPOSE_PROFILES=',
    '',
    '# Settings of the compose file.',
    '',
    envTemplate(composeSettings(role)),
    `# Settings of the ${role}. A line that is commented out shows the default.`,
    '',
    envTemplate(Object.fromEntries(settings)),
  ].join('\n')
}
