/** The option --dialect of the programs here: which dialects a run's validators and miners speak with each other. */
import { DIALECTS, type Dialect } from '@horde/protocol/handshake/dialects'

/** The explanation in a program's help. */
export const DIALECT_USAGE = 'speak v0, v2026, or both in turn'

/** Returns the dialects that the option names; undefined for any other text. */
export function dialectsIn(text: string): readonly Dialect[] | undefined {
  if (text === 'both') return DIALECTS
  const dialect = DIALECTS.find(each => each === text)
  return dialect && [dialect]
}
