import type { Log } from '@horde/kit/log'
import { type Clock, withDeadline } from '@horde/kit/time'
import { hashOf, heightOf } from './answers.ts'
import { dialRpc } from './rpc.ts'

/** A node that is so many blocks behind another, at two looks in a row, is behind. */
const BEHIND_BLOCKS = 5
const LOOKS = 2

/** How long another node may take to say its height, in ms. */
const ASK_WITHIN_MS = 10_000

export type CompareOptions = {
  /** The other endpoints. */
  readonly others: readonly string[]
  /** The genesis of our chain: a node of another chain does not count. */
  readonly genesisHash: string
  /** Our best block. */
  height(): number
  readonly everyMs: number
  readonly log: Log
  readonly clock: Clock
}

/** Another node, and how far it is ahead. */
export type Ahead = { readonly endpoint: string; readonly blocks: number }

/** Asks the other nodes in turn how far they are, and resolves once one is well ahead of ours; never without others. */
export async function untilBehind(options: CompareOptions, signal: AbortSignal): Promise<Ahead> {
  const { others, height, everyMs, clock, log } = options
  const looks = new Map<string, number>()
  for (let turn = 0; ; turn += 1) {
    await clock.sleep(everyMs, signal)
    const endpoint = others[turn % others.length]
    if (endpoint === undefined) continue
    try {
      const blocks = (await heightAt(endpoint, options, signal)) - height()
      const behind = blocks >= BEHIND_BLOCKS ? (looks.get(endpoint) ?? 0) + 1 : 0
      looks.set(endpoint, behind)
      if (behind >= LOOKS) return { endpoint, blocks }
    } catch (err) {
      signal.throwIfAborted()
      log.debug({ err, endpoint }, 'another node of the chain could not be asked for its height')
    }
  }
}

async function heightAt(endpoint: string, { genesisHash, log, clock }: CompareOptions, signal: AbortSignal) {
  await using rpc = await dialRpc(endpoint, { requestTimeoutMs: ASK_WITHIN_MS, log, signal })
  const both = Promise.all([rpc.send('chain_getBlockHash', [0]), rpc.send('chain_getHeader', [])])
  const [genesis, header] = await withDeadline(both, ASK_WITHIN_MS, endpoint, clock)
  return hashOf(genesis) === genesisHash ? heightOf(header) : 0
}
