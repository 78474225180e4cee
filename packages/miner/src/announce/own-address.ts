/** Finds this machine's address as peers see it. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIP } from 'node:net'
import { isPublicAddress } from '@horde/kit/http/public-address'
import type { Log } from '@horde/kit/log'

/** How long a public service may take to answer with this machine's address, in milliseconds. */
const ASK_WITHIN_MS = 5_000
/** Looking up the route to an address sends nothing; this one is public and never local. */
const SOME_PUBLIC_ADDRESS = '8.8.8.8'
const DNS_PORT = 53

export type OwnAddress = {
  readonly address: string
  /** How it was found, for people. */
  readonly how: string
  /** False for the address of an interface: peers may see another one. */
  readonly isSure: boolean
}

/** No public address of this machine was found. The message says what was tried. */
export class NoPublicAddressError extends Error {
  override readonly name = 'NoPublicAddressError'

  constructor(tried: readonly string[]) {
    super(`no public address of this machine was found (${tried.join('; ')})`)
  }
}

/**
 * Returns the given address. For `auto` it returns the first public address that one of the services answers with, else
 * that of the network interface that leads to the internet. A private address is not accepted: no peer could dial it.
 *
 * @throws NoPublicAddressError
 */
export async function findAddress(
  given: string,
  services: readonly string[],
  log: Log,
  signal: AbortSignal,
): Promise<OwnAddress> {
  if (given !== 'auto') return { address: given, how: 'set as BITTENSOR_MINER_ADDRESS', isSure: true }
  const tried: string[] = []
  for (const service of services) {
    try {
      return { address: await ask(service, signal), how: `reported by ${service}`, isSure: true }
    } catch (err) {
      signal.throwIfAborted()
      log.debug({ err, service }, 'service did not answer with a public address')
      tried.push(`${service}: ${(err as Error).message}`)
    }
  }
  const address = await interfaceAddress().catch(() => undefined)
  if (address && isPublicAddress(address)) return { address, how: 'taken from the network interface', isSure: false }
  throw new NoPublicAddressError([...tried, `network interface: ${address ? 'a private address' : 'none'}`])
}

async function ask(service: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(service, { signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_WITHIN_MS)]) })
  const address = (await response.text()).trim()
  if (!response.ok || isIP(address) === 0) throw new Error(`the answer (status ${response.status}) is not an address`)
  if (!isPublicAddress(address)) throw new Error('the answer is a private or reserved address')
  return address
}

async function interfaceAddress(): Promise<string> {
  const socket = createSocket('udp4')
  try {
    socket.connect(DNS_PORT, SOME_PUBLIC_ADDRESS)
    await once(socket, 'connect')
    return socket.address().address
  } finally {
    socket.close()
  }
}
