import { isIP } from 'node:net'

/** An IP address as the chain stores it: a number, and the IP version. */
export type IpNumber = { readonly ip: bigint; readonly ipType: 4 | 6 }

const IPV6_GROUPS = 8

/**
 * Converts an IPv4 address (32 bits) or an IPv6 address (128 bits) to a number.
 * @throws RangeError when the text is neither
 */
export function ipToNumber(text: string): IpNumber {
  const kind = isIP(text)
  if (kind === 4) {
    const ip = text.split('.').reduce((number, byte) => (number << 8n) | BigInt(byte), 0n)
    return { ip, ipType: 4 }
  }
  if (kind !== 6 || text.includes('%')) throw new RangeError(`${text} is not an IP address`)
  const [before = '', after] = shortForm(text).split('::')
  const groups = before.split(':').filter(Boolean)
  const last = after?.split(':').filter(Boolean) ?? []
  const zeros = new Array<string>(IPV6_GROUPS - groups.length - last.length).fill('0')
  const ip = [...groups, ...zeros, ...last].reduce((number, group) => (number << 16n) | BigInt(`0x${group}`), 0n)
  return { ip, ipType: 6 }
}

/** Converts a number back to dotted IPv4, or to IPv6 in its short form. */
export function ipFromNumber({ ip, ipType }: IpNumber): string {
  if (ipType === 4) return [24n, 16n, 8n, 0n].map(shift => (ip >> shift) & 0xffn).join('.')
  const hex = ip.toString(16).padStart(4 * IPV6_GROUPS, '0')
  return shortForm((hex.match(/.{4}/g) ?? []).join(':'))
}

/** Returns the canonical form of an IPv6 address, which the URL parser produces (RFC 5952, hex digits throughout). */
const shortForm = (text: string): string => new URL(`http://[${text}]`).hostname.slice(1, -1)
