/** The port for a service's operator: /health, /metrics, the status as a page and as JSON, and what else there is. */
import type { AddressInfo } from 'node:net'
import { createHttp, type HttpOptions } from '@horde/kit/http'
import { version } from '@horde/kit/version'
import type { FastifyInstance } from 'fastify'
import { POLICY } from '../page/style.ts'

export type AdminOptions<Status> = HttpOptions & {
  host: string
  port: number
  status(): Promise<Status>
  page(status: Status): string
  /** Adds what only this service shows. */
  more?(app: FastifyInstance): void
}

/** What the browser is told about everything that is here. */
const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** Opens the port and gives its number; it closes with `stack`. /health also says which release runs. */
export async function openAdmin<Status>(
  { host, port, status, page, more, health, ...http }: AdminOptions<Status>,
  stack: AsyncDisposableStack,
): Promise<number> {
  const app = createHttp({ ...http, health: async () => ({ version, ...(await health()) }) })
  stack.defer(() => app.close())
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS)
  })
  app.get('/', async (_request, reply) => reply.redirect('/status'))
  app.get('/status', async (_request, reply) => reply.type('text/html; charset=utf-8').send(page(await status())))
  app.get('/status.json', status)
  more?.(app)
  await app.listen({ host, port })
  return (app.server.address() as AddressInfo).port
}
