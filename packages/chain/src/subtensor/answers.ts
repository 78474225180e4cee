import { ChainError } from '../errors.ts'

/** Answers of a node that are taken apart by hand: what they are not is an error, never a wrong number. */

const HASH = /^0x[0-9a-f]{64}$/i
const HEIGHT = /^0x[0-9a-f]{1,13}$/i

/** The number of a block, from its header. @throws ChainError BadAnswer */
export function heightOf(header: unknown): number {
  const { number } = (header ?? {}) as { number?: unknown }
  if (typeof number === 'string' && HEIGHT.test(number)) return Number(number)
  throw new ChainError('BadAnswer', 'no header of a block')
}

/** @throws ChainError BadAnswer */
export function hashOf(answer: unknown): string {
  if (typeof answer === 'string' && HASH.test(answer)) return answer
  throw new ChainError('BadAnswer', 'no hash of a block')
}
