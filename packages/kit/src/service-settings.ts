import { z } from 'zod'
import { envInteger, envList, envPort, setting } from './config.ts'

/** The settings that every service with an operator has: its admin port and its log. */
export const serviceSettings = {
  ADMIN_HOST: setting(z.string().default('127.0.0.1'), {
    about: 'The address that the port for the operator is opened on.',
    example: '127.0.0.1',
  }),
  ADMIN_PORT: setting(envPort.optional(), {
    about:
      'The port for the operator: /health, /metrics, and what else a service has to show. Unset: it is not opened.',
    example: '8002',
  }),
  LOG_LEVEL: setting(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'), {
    about: 'The least level of log lines that are written.',
    example: 'info',
  }),
} as const

/** Which disks are watched, and when one counts as nearly full, and as full. */
export const diskSettings = {
  DISK_FOLDERS: setting(envList.default([]), {
    about:
      'Further folders whose disks are watched, separated by commas, such as where the database of another container lies.',
    example: '/disks/database',
  }),
  DISK_LOW_BYTES: setting(envInteger({ min: 0 }).default(10_000_000_000), {
    about: 'A disk in use with less free than this is a warning in /health, in bytes.',
    example: '10000000000',
  }),
  DISK_FULL_BYTES: setting(envInteger({ min: 0 }).default(1_000_000_000), {
    about: 'With less free than this on a disk in use the service is not ready, in bytes.',
    example: '1000000000',
  }),
} as const
