/** Where input and output URLs may point. What a job names must not reach into the network that its executor is in. */
import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { isPublicAddress } from '@horde/kit/public-address'

/** A URL that this executor does not follow. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
}

/** The URL, when its form and, where it names an address itself, its address are allowed. Throws TargetError. */
export function checkUrl(text: string, allowPrivate: boolean): URL {
  const url = URL.parse(text)
  if (url === null) throw new TargetError('it is not a URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TargetError('only http and https are followed')
  if (!isReadable(`${url.username}:${url.password}`)) {
    throw new TargetError('its user name or password cannot be read')
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host))
    throw new TargetError('it points into a private network')
  return url
}

/** What is not readable so, Node would throw at as it makes a request of it. */
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
 * A look-up for connections out of one that knows them all: the addresses that it gives are the ones that are connected
 * to, so a name that means something else the next time changes nothing. Private addresses are dropped; a name that has
 * no others ends in TargetError.
 */
export function publicOnly(lookupAll: LookupAll): LookupFunction {
  return (hostname, options, callback) => {
    lookupAll(hostname, { ...options, all: true }, (error, addresses) => {
      const found = error ? [] : addresses.filter(({ address }) => isPublicAddress(address))
      const [first] = found
      if (error) callback(error, '')
      else if (!first) callback(new TargetError('it points into a private network'), '')
      else if (options.all) callback(null, found)
      else callback(null, first.address, first.family)
    })
  }
}

/** The look-up of connections that must not lead into private networks. */
export const publicLookup: LookupFunction = publicOnly(lookup)
