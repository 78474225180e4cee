/** The capabilities that a peer names in the HTTP request that opens its connection, before any message. */

/** The header for extensions of the dialect that the dialling peer understands, separated by commas. */
export const CAPABILITIES_HEADER = 'X-Horde-Capabilities'

/** Returns the capabilities in that header, in lower case; none when the header is missing. */
export function capabilitiesIn(header: string | readonly string[] | undefined): string[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(',')
  const names = text.split(',').map(name => name.trim().toLowerCase())
  return names.filter(name => name !== '')
}
