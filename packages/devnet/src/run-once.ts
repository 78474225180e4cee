/** Runs one batch, sets weights once, and reports the outcome. */
import { z } from 'zod'
import { NETUID } from './genesis.ts'
import type { Horde } from './start-horde.ts'
import { short, table } from './view.ts'

const job = z.object({
  miner: z.string(),
  uid: z.number(),
  state: z.string(),
  seconds: z.number().nullable(),
  score: z.number(),
  reason: z.string().nullish(),
})

const batchResult = z.object({
  jobs: z.array(job),
  weights: z.array(z.object({ uid: z.number(), weight: z.number() })),
  block: z.number().nullable(),
})
export type BatchResult = z.output<typeof batchResult>

/**
 * Runs one batch with the validator and sets weights. `ok` means that every miner's job finished with the right answer,
 * the only one that scores, and that the chain holds the weights.
 */
export async function runOnce(horde: Horde, signal: AbortSignal): Promise<{ result: BatchResult; ok: boolean }> {
  let lastLine = ''
  const service = horde.startValidator(['batch', '--json'], line => {
    if (line.stream === 'stdout' && line.text !== '') lastLine = line.text
  })
  const stopped = Promise.withResolvers<never>()
  const onAbort = () => stopped.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const end = await Promise.race([service.exited, horde.rejectOnExit(), stopped.promise]).finally(() => {
    signal.removeEventListener('abort', onAbort)
  })
  const read = batchResult.safeParse(parseJson(lastLine))
  if (!read.success) {
    throw new Error(`the validator ended with exit code ${end.code} and printed no result`)
  }
  return { result: read.data, ok: end.code === 0 && (await isRight(read.data, horde)) }
}

async function isRight({ jobs, weights }: BatchResult, { chain, validator, miners }: Horde): Promise<boolean> {
  const held = await chain.weightsOf(NETUID, validator.uid)
  const everyMiner = miners.every(({ member }) => jobs.some(each => each.miner === member.hotkey))
  const allRight = jobs.every(({ state, score }) => state === 'finished' && score > 0)
  const areHeld = weights.length > 0 && JSON.stringify(held) === JSON.stringify(weights)
  return everyMiner && allRight && areHeld
}

export function resultTable({ jobs, weights, block }: BatchResult, { miners }: Horde): string {
  const nameOf = (hotkey: string) => miners.find(({ member }) => member.hotkey === hotkey)?.member.name ?? ''
  const rows = jobs.map(({ miner, uid, state, seconds, score, reason }) => [
    nameOf(miner),
    String(uid),
    short(miner),
    reason ? `${state} (${reason})` : state,
    seconds === null ? '' : seconds.toFixed(2),
    score.toFixed(4),
    String(weights.find(weight => weight.uid === uid)?.weight ?? 0),
  ])
  const head = ['miner', 'uid', 'hotkey', 'state', 'seconds', 'score', 'weight']
  return `\n${table([head, ...rows])}\n\nweights set in block ${block ?? 'none'}\n`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
