/** The beginning of the chain's list. It has no second form of σ and writes tau as t. */
const SYMBOLS = [...'αβγδεζηθικλμνξοπρσtυφχψω']
/** Upper-case tau: the symbol of root, and of subnets beyond the list. */
const DEFAULT_SYMBOL = 'Τ'

/** Returns the symbol of a subnet's alpha in UTF-8. */
export function tokenSymbol(netuid: number): Uint8Array {
  return new TextEncoder().encode(SYMBOLS[netuid - 1] ?? DEFAULT_SYMBOL)
}
