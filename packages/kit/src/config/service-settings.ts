import { z } from 'zod'
import { envInteger, envList, envPort, setting } from '../config.ts'

/** Settings of every service with an admin port: the port and the log. */
export const serviceSettings = {
  ADMIN_HOST: setting(z.string().default('127.0.0.1'), {
    about: 'The address on which the admin port listens.',
    example: '127.0.0.1',
  }),
  ADMIN_PORT: setting(envPort.optional(), {
    about: 'The admin port, with /health, /metrics and the status page. Unset: no admin port.',
    example: '8002',
  }),
  LOG_LEVEL: setting(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'), {
    about: 'The lowest level of log lines to write.',
    example: 'info',
  }),
} as const

/** Which disks are watched, and below which free space a disk counts as nearly full and as full. */
export const diskSettings = {
  DISK_FOLDERS: setting(envList.default([]), {
    about: "More folders whose disks to watch, separated by commas, such as that of another container's database.",
    example: '/disks/database',
  }),
  DISK_LOW_BYTES: setting(envInteger({ min: 0 }).default(10_000_000_000), {
    about: 'Free space of a disk, in bytes, below which /health shows a warning.',
    example: '10000000000',
  }),
  DISK_FULL_BYTES: setting(envInteger({ min: 0 }).default(1_000_000_000), {
    about: 'Free space of a disk, in bytes, below which the service is not ready.',
    example: '1000000000',
  }),
} as const
