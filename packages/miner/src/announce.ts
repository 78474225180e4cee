/** The miner's address on the chain: announced when it differs from what the chain says, and only then. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIP } from 'node:net'
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Log } from '@horde/kit/log'

/** How long a public service may take to say this machine's address, in milliseconds. */
const ASK_WITHIN_MS = 5_000
/** Looking up the route to an address sends nothing; this one is public and never local. */
const SOME_PUBLIC_ADDRESS = '8.8.8.8'
const DNS_PORT = 53

export type Announcement = { chain: Chain; netuid: number; hotkey: Hotkey; ip: string; port: number; log: Log }

export async function announce({ chain, netuid, hotkey, ip, port, log }: Announcement): Promise<void> {
  const { announced, block } = await chain.serveAxon(netuid, { ip, port }, hotkey)
  if (announced) log.info({ ip, port, block }, 'address announced on the chain')
}

/**
 * The address to announce: the given one, or, for `auto`, what the first of the services says that answers, else the
 * address of the interface that leads to the internet.
 */
export async function addressToAnnounce(
  given: string,
  services: readonly string[],
  log: Log,
  signal: AbortSignal,
): Promise<string> {
  if (given !== 'auto') return given
  for (const service of services) {
    const address = await ask(service, signal).catch(err => {
      log.warn({ err, service }, 'service did not say the public address')
    })
    if (address) {
      log.info({ address, service }, 'public address found by asking a service')
      return address
    }
  }
  const address = await interfaceAddress()
  log.warn({ address }, 'public address taken from the network interface; set BITTENSOR_MINER_ADDRESS if it is wrong')
  return address
}

async function ask(service: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(service, { signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_WITHIN_MS)]) })
  const address = (await response.text()).trim()
  if (!response.ok || isIP(address) === 0) throw new Error(`the answer (status ${response.status}) is not an address`)
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
