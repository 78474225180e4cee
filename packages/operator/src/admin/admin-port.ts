/** The port for a service's operator: /health, /metrics, and the status as a page and as JSON. */
import type { AddressInfo } from 'node:net'
import { createHttp, type HttpOptions } from '@horde/kit/http'
import type { Clock } from '@horde/kit/time'
import { version } from '@horde/kit/version'
import type { FastifyInstance } from 'fastify'
import { statusPage } from '../page/status-page.ts'
import { POLICY } from '../page/style.ts'
import { healthOf, jsonOf, type ObservedService, type ServiceStatus } from './observed-service.ts'

export type AdminPortOptions<S extends ServiceStatus, Stored, Json> = Pick<HttpOptions, 'log' | 'metrics'> & {
  host: string
  port: number
  service: ObservedService<S, Stored, Json>
  clock: Clock
  /** Adds routes that only this service has. */
  addRoutes?(app: AdminApp): void
}

/** What routes are added to. */
export type AdminApp = FastifyInstance

/** Sent with every response. */
const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** Opens the port and returns its number; it closes with `stack`. /health also names the release. */
export async function openAdminPort<S extends ServiceStatus, Stored, Json>(
  { host, port, service, clock, addRoutes, ...http }: AdminPortOptions<S, Stored, Json>,
  stack: AsyncDisposableStack,
): Promise<number> {
  const app = createHttp({ ...http, health: async () => ({ version, ...healthOf(service) }) })
  stack.defer(() => app.close())
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS)
  })
  app.get('/', async (_request, reply) => reply.redirect('/status'))
  app.get('/status', async (_request, reply) => {
    return reply.type('text/html; charset=utf-8').send(statusPage(service.page(await jsonOf(service, clock))))
  })
  app.get('/status.json', () => jsonOf(service, clock))
  addRoutes?.(app)
  await app.listen({ host, port })
  return (app.server.address() as AddressInfo).port
}
