/** Text that a stranger chose, made fit to be shown: bounded, and without what terminals and browsers obey. */

/** Longest text that is shown whole, in characters. */
export const LONGEST_SHOWN = 200
/** Control characters, and those that turn the direction of what follows or are not seen at all. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu

export function shown(text: string): string {
  const cut = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text
  return cut.replace(UNSEEN, '\u{fffd}')
}
