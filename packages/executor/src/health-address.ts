/** The addresses at which /health and /metrics may be served: local ones only, because they need no authentication. */

/** In the form that Fastify's listen() takes. */
export type HealthAddress = { path: string } | { host: string; port: number }

const TCP = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]):(\d{1,5})$/
const MAX_PORT = 65_535
const UNIX = 'unix:'
/** The longest path that fits into the kernel's sockaddr_un, in bytes. */
const MAX_PATH_BYTES = 107

/** Accepts `127.0.0.1:9100`, `[::1]:9100` or `unix:/path`, else returns undefined. Port 0 lets the system choose. */
export function parseHealthAddress(text: string): HealthAddress | undefined {
  if (text.startsWith(UNIX)) {
    const path = text.slice(UNIX.length).replace(/^\/\/(?=\/)/, '')
    return path.startsWith('/') && Buffer.byteLength(path) <= MAX_PATH_BYTES ? { path } : undefined
  }
  const [, host = '', port = ''] = TCP.exec(text) ?? []
  const isValid = host !== '' && Number(port) <= MAX_PORT && host.split('.').every(part => !(Number(part) > 255))
  return isValid ? { host: host.replace(/[[\]]/g, ''), port: Number(port) } : undefined
}
