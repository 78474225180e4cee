import type { Log } from '@horde/kit/log'
import { type Clock, withDeadline } from '@horde/kit/time'
import { dialRpc, hashIn, heightIn } from './rpc.ts'

/** Our node counts as behind if another node is at least this many blocks ahead in two comparisons in a row. */
const BEHIND_BLOCKS = 5
const COMPARISONS = 2

/** How long another node may take to return its best block, in ms. */
const ANSWER_TIMEOUT_MS = 10_000

/** What `untilBehind` compares, and how often. */
export type CompareOptions = {
  /** The other endpoints. */
  readonly others: readonly string[]
  /** Nodes with another genesis hash belong to another chain and are ignored. */
  readonly genesisHash: string
  /** Returns the number of our best block. */
  height(): number
  /** Time between two comparisons, in ms. */
  readonly everyMs: number
  readonly log: Log
  readonly clock: Clock
}

/** Another node, and how many blocks it is ahead. */
export type Ahead = { readonly endpoint: string; readonly blocks: number }

/**
 * Asks the other nodes in turn for their best block and returns the first that is well ahead of ours. Waits until the
 * signal aborts if there are no others.
 */
export async function untilBehind(options: CompareOptions, signal: AbortSignal): Promise<Ahead> {
  const { others, height, everyMs, clock, log } = options
  const timesBehind = new Map<string, number>()
  for (let round = 0; ; round += 1) {
    await clock.sleep(everyMs, signal)
    const endpoint = others[round % others.length]
    if (endpoint === undefined) continue
    try {
      const blocks = (await heightAt(endpoint, options, signal)) - height()
      const times = blocks >= BEHIND_BLOCKS ? (timesBehind.get(endpoint) ?? 0) + 1 : 0
      timesBehind.set(endpoint, times)
      if (times >= COMPARISONS) return { endpoint, blocks }
    } catch (err) {
      signal.throwIfAborted()
      log.debug({ err, endpoint }, 'could not read the best block of another chain node')
    }
  }
}

async function heightAt(endpoint: string, { genesisHash, log, clock }: CompareOptions, signal: AbortSignal) {
  await using rpc = await dialRpc(endpoint, { requestTimeoutMs: ANSWER_TIMEOUT_MS, log, signal })
  const both = Promise.all([rpc.send('chain_getBlockHash', [0]), rpc.send('chain_getHeader', [])])
  const [genesis, header] = await withDeadline(both, ANSWER_TIMEOUT_MS, endpoint, clock)
  return hashIn(genesis) === genesisHash ? heightIn(header) : 0
}
