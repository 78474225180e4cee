/** Summarises a run of restarts, and describes each problem in a sentence. */
import { upscaled } from '@horde/chain/weights/row'
import { isFinal } from '@horde/protocol/job-state'
import { eq } from 'drizzle-orm'
import { batches, jobs, weightSettings } from '../../packages/validator/src/db/schema.ts'
import { NETUID, type TestNetwork } from './test-network.ts'

export interface Summary {
  batches: number
  /** Weight settings that the chain included. */
  'weight settings': number
  /** How the jobs of each dialect ended. */
  ends: JobEnds[]
  problems: string[]
}

export interface JobEnds {
  jobs: number
  /** Jobs with a score. */
  measured: number
  /** Jobs with a right answer whose time the validator could not measure. */
  excused: number
  /** Jobs without a right answer: their number for each reason. */
  'without a result': string
}

type Job = typeof jobs.$inferSelect

export async function summarise({ db, chain, completed, dialects, dialectAt }: TestNetwork): Promise<Summary> {
  const allBatches = await db.select().from(batches)
  const allJobs = await db.select().from(jobs)
  const included = await db.select().from(weightSettings).where(eq(weightSettings.state, 'included'))
  const problems: string[] = []
  for (const { id, closedAt, counts, scoredAt } of allBatches) {
    if (!closedAt || !counts || !scoredAt)
      problems.push(`batch ${id} is not complete: ${JSON.stringify({ closedAt, counts, scoredAt })}`)
    const times = included.filter(({ batchIds }) => batchIds.includes(id)).length
    if (times !== 1) problems.push(`batch ${id} was counted ${times} times`)
  }
  for (const { uuid, state, reason, rightAnswer, dialect, minerAddress } of allJobs) {
    if (dialect !== null && dialect !== dialectAt(minerAddress)) problems.push(`job ${uuid} was offered in ${dialect}`)
    if (!isFinal(state)) problems.push(`job ${uuid} is still ${state}`)
    if (completed.has(uuid) && !rightAnswer)
      problems.push(`a miner completed job ${uuid}, but it ended ${state} (${reason})`)
    if (!completed.has(uuid) && rightAnswer) problems.push(`job ${uuid} has an answer that no miner gave`)
  }
  const known = new Set(allJobs.map(({ uuid }) => uuid))
  for (const uuid of completed) {
    if (!known.has(uuid)) problems.push(`a miner completed job ${uuid}, which the validator does not have`)
  }
  const last = included.toSorted((a, b) => a.id - b.id).at(-1)
  const onChain = await chain.weightsOf(NETUID, 0)
  const expected = last && upscaled(last.weights).map((weight, i) => ({ uid: last.uids[i], weight }))
  if (JSON.stringify(onChain) !== JSON.stringify(expected))
    problems.push('the weights on the chain are not those that the validator set last')
  return {
    batches: allBatches.length,
    'weight settings': included.length,
    ends: dialects.map(dialect => endsOf(allJobs.filter(({ minerAddress }) => dialectAt(minerAddress) === dialect))),
    problems,
  }
}

function endsOf(some: readonly Job[]): JobEnds {
  return {
    jobs: some.length,
    measured: some.filter(({ score }) => score !== null && score > 0).length,
    excused: some.filter(({ rightAnswer, score }) => rightAnswer && score === null).length,
    'without a result': countsByReason(some.filter(({ rightAnswer }) => !rightAnswer)),
  }
}

function countsByReason(some: readonly { reason: string | null }[]): string {
  const counts = [...Map.groupBy(some, ({ reason }) => reason)].map(([reason, own]) => `${own.length} ${reason}`)
  return counts.length > 0 ? counts.join(', ') : '0'
}
