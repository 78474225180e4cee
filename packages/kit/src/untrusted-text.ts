/** Makes text that a peer chose safe to show: bounded, and without characters that control terminals and browsers. */

/** The longest text that is shown in full, in characters. */
export const LONGEST_SHOWN = 200
/** Control characters, characters that change the text direction, and invisible ones. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu

export function printable(text: string): string {
  const cut = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text
  return cut.replace(UNSAFE, '\u{fffd}')
}
