/** Tells requests of programs on this machine from all others. The admin port asks nobody who they are. */
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/

/**
 * Returns whether a program of this machine asks, and not a page in a browser there: such a page sends its origin, or
 * reaches the port by a name.
 */
export function isFromThisMachine({ socket, headers, host }: FastifyRequest): boolean {
  const { remoteAddress = '', localAddress } = socket
  const isLocal = LOOPBACK.test(remoteAddress) || remoteAddress === localAddress
  const name = URL.parse(`http://${host}`)?.hostname.replace(/^\[(.*)\]$/, '$1') ?? ''
  return isLocal && isIP(name) !== 0 && headers.origin === undefined
}
