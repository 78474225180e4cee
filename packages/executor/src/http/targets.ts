/** Where input and output URLs may point. What a job names must not reach into the network that its executor is in. */
import { type LookupAddress, lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** A URL that this executor does not follow. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
}

const privateV4 = blockList('ipv4', [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
])

/** All that is routed on the internet lies in 2000::/3; tunnels into IPv4 and documentation are taken out of it. */
const globalV6 = blockList('ipv6', [['2000::', 3]])
const exceptedV6 = blockList('ipv6', [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
])

/** Whether an IP address is an ordinary one of the internet: not private, loopback, link-local, multicast or reserved. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !privateV4.check(address, 'ipv4')
  return family === 6 && globalV6.check(address, 'ipv6') && !exceptedV6.check(address, 'ipv6')
}

/** The URL, when its form and, where it names an address itself, its address are allowed. Throws TargetError. */
export function checkUrl(text: string, allowPrivate: boolean): URL {
  const url = URL.parse(text)
  if (url === null) throw new TargetError('it is not a URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TargetError('only http and https are followed')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host))
    throw new TargetError('it points into a private network')
  return url
}

/**
 * A look-up for a connection: the addresses that it gives are the ones that are connected to, so a name that means
 * something else the next time changes nothing. Private addresses are dropped; a name that has no others is refused.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const found = error ? [] : addresses.filter(({ address }) => isPublicAddress(address))
    const [first] = found
    if (error) callback(error, '')
    else if (!first) callback(new TargetError('it points into a private network'), '')
    else if (options.all) callback(null, found satisfies LookupAddress[])
    else callback(null, first.address, first.family)
  })
}

function blockList(family: 'ipv4' | 'ipv6', subnets: [string, number][]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of subnets) list.addSubnet(network, prefix, family)
  return list
}
