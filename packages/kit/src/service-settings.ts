import { z } from 'zod'
import { envPort, setting } from './config.ts'

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
