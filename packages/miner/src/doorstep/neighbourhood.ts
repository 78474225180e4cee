/** Who counts as one address: what one party can have any number of must not buy it more room. */
import { isIPv6 } from 'node:net'
import { ipFromNumber, ipToNumber } from '@horde/chain/ip'

/** A party is given a /64 of IPv6 as it is given one IPv4 address. */
const HOST_BITS = 64n
/** ::ffff:0:0/96 is how a socket for both kinds shows an IPv4 address. */
const IPV4_BITS = 32n
const MAPPED_IPV4 = 0xffffn

/** An IPv4 address itself, the first 64 bits of an IPv6 address. */
export function neighbourhoodOf(address: string): string {
  const [plain = ''] = address.split('%')
  if (!isIPv6(plain)) return plain
  const { ip } = ipToNumber(plain)
  if (ip >> IPV4_BITS === MAPPED_IPV4) return ipFromNumber({ ip: ip & ((1n << IPV4_BITS) - 1n), ipType: 4 })
  return `${ipFromNumber({ ip: (ip >> HOST_BITS) << HOST_BITS, ipType: 6 })}/64`
}
