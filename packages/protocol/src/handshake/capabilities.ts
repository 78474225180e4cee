/** What a peer says of itself in the request by which it asks for a connection: apart from the messages, which come later. */

/** The header in which whoever dials says what it understands beyond the dialect, separated by commas. */
export const CAPABILITIES_HEADER = 'X-Horde-Capabilities'

/** The capabilities in that header; none where it is missing. */
export function capabilitiesIn(header: string | readonly string[] | undefined): string[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(',')
  const names = text.split(',').map(name => name.trim().toLowerCase())
  return names.filter(name => name !== '')
}
