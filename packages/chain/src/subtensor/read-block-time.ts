import { ChainError } from '../errors.ts'
import type { Live } from './connection.ts'
import { bestBlockHash, countOf, entryOf, readStorage } from './storage.ts'

/**
 * The best block's number and the time that its author gave it, in ms since the epoch, in two requests.
 * @throws ChainError BadAnswer when the chain has no time yet, as before its first block
 */
export async function readBlockTime(live: Live): Promise<{ block: number; timeMs: number }> {
  const reads = [entryOf(live.api, 'system', 'number'), entryOf(live.api, 'timestamp', 'now')]
  const values = await readStorage(
    live,
    await bestBlockHash(live),
    reads.map(entry => ({ entry, args: [] })),
  )
  const [block, timeMs] = values.map(countOf)
  if (block === undefined || !timeMs) throw new ChainError('BadAnswer', 'the block has no time')
  return { block, timeMs }
}
