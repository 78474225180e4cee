/** The chain's own list goes on with other alphabets. σ has no second form in it, and tau is written as t. */
const SYMBOLS = [...'αβγδεζηθικλμνξοπρσtυφχψω']
/** Upper-case tau: root's, and that of a subnet for which no other is left. */
const DEFAULT_SYMBOL = 'Τ'

/** The symbol of a subnet's alpha, as UTF-8. */
export function tokenSymbol(netuid: number): Uint8Array {
  return new TextEncoder().encode(SYMBOLS[netuid - 1] ?? DEFAULT_SYMBOL)
}
