/** Checks where input and output URLs point: a job must not reach into the network of its executor. */
import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import { isPublicAddress } from '@horde/kit/http/public-address'

/** This executor does not connect to the URL. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
}

/** Returns the parsed URL. Throws TargetError when its form is not allowed, or an address that it names. */
export function checkUrl(text: string, allowPrivate: boolean): URL {
  const url = URL.parse(text)
  if (url === null) throw new TargetError('it is not a URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TargetError('only http and https are allowed')
  if (!isReadable(`${url.username}:${url.password}`)) {
    throw new TargetError('its user name or password is badly encoded')
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const objection = !allowPrivate && isIP(host) !== 0 ? objectionTo(host) : undefined
  if (objection !== undefined) throw new TargetError(objection)
  return url
}

/**
 * Returns what is wrong with an address; undefined when connections to it are allowed. This machine's own addresses are
 * refused, public ones too, because they lead behind its firewall.
 */
function objectionTo(address: string): string | undefined {
  if (!isPublicAddress(address)) return 'it points into a private network'
  const own = Object.values(networkInterfaces()).flatMap(list => list?.map(each => each.address) ?? [])
  return own.includes(address) ? 'it points to the machine of the executor' : undefined
}

/** Node throws when it makes a request of a URL whose parts cannot be decoded. */
function isReadable(encoded: string): boolean {
  try {
    decodeURIComponent(encoded)
    return true
  } catch {
    return false
  }
}

type LookupAll = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/**
 * Wraps a DNS look-up so that it drops private addresses and this machine's own. Connections go to the addresses that
 * it returns, so a name that resolves differently the next time cannot bypass the check. Fails with TargetError when
 * no address is left.
 */
export function publicOnly(lookupAll: LookupAll): LookupFunction {
  return (hostname, options, callback) => {
    lookupAll(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '')
      const objections = addresses.map(({ address }) => objectionTo(address))
      const found = addresses.filter((_, at) => objections[at] === undefined)
      const [first] = found
      if (!first) callback(new TargetError(objections[0] ?? 'its name has no address'), '')
      else if (options.all) callback(null, found)
      else callback(null, first.address, first.family)
    })
  }
}

/** The DNS look-up for connections that must not lead into private networks. */
export const publicLookup: LookupFunction = publicOnly(lookup)
