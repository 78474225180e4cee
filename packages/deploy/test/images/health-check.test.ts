import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../../../docker/image/health-check.js', import.meta.url))

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Runs the health check of an image. */
function check(env: Record<string, string>): Promise<{ code: number | null; printed: string }> {
  return new Promise(resolve => {
    const child = execFile(process.execPath, [SCRIPT], { env }, (_error, stdout) => {
      resolve({ code: child.exitCode, printed: stdout.trim() })
    })
  })
}

/**
 * Starts a service whose /health answers with this status and text.
 * @param path a socket to listen on; without it, a free port on loopback
 * @returns the port, or 0 for a socket
 */
async function serve(status: number, text: string, path?: string): Promise<number> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/health' ? status : 404).end(text)
  })
  servers.push(server)
  if (path === undefined) server.listen(0, '127.0.0.1')
  else server.listen(path)
  await once(server, 'listening')
  return path === undefined ? (server.address() as AddressInfo).port : 0
}

it('succeeds when the service is ready', async () => {
  const port = await serve(200, '{"ready":true}')
  expect(await check({ ADMIN_PORT: String(port) })).toEqual({ code: 0, printed: '{"ready":true}' })
  expect(await check({ HEALTH_ADDRESS: `127.0.0.1:${port}` })).toMatchObject({ code: 0 })
})

it('fails when the service is not ready, and prints the reasons', async () => {
  const port = await serve(503, '{"reasons":["disk: full"]}')
  expect(await check({ ADMIN_PORT: String(port) })).toEqual({ code: 1, printed: '{"reasons":["disk: full"]}' })
})

it('asks a service that listens on a socket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'health-'))
  await serve(200, 'well', join(folder, 'socket'))
  expect(await check({ HEALTH_ADDRESS: `unix:${folder}/socket` })).toEqual({ code: 0, printed: 'well' })
  await rm(folder, { recursive: true })
})

it('fails when nothing answers', async () => {
  expect(await check({ ADMIN_PORT: '1' })).toMatchObject({ code: 1, printed: expect.stringContaining('ECONNREFUSED') })
})

it('succeeds when no port is set', async () => {
  expect(await check({})).toEqual({ code: 0, printed: 'no port for /health is set' })
})
