/** The label for each reason to refuse a validator's connection, by the beginning of the logged sentence. */
const CODES: readonly (readonly [beginning: string, code: string])[] = [
  ['Unknown validator', 'unknown-validator'],
  ['Inactive validator', 'inactive-validator'],
  ['The chain has not said', 'no-list-yet'],
  ['Too many connections', 'too-many-connections'],
  ['The first message must be', 'not-an-authentication'],
  ['The connection closed', 'closed'],
  ['The authentication did not come in time', 'too-late'],
  ['The validator hotkey', 'other-validator'],
  ['The miner hotkey', 'other-miner'],
  ['The timestamp', 'timestamp'],
  ['The signature does not verify', 'signature'],
  ['The signature was used before', 'replay'],
]

export function refusalCode(why: string): string {
  return CODES.find(([beginning]) => why.startsWith(beginning))?.[1] ?? 'other'
}
