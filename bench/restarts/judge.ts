/** What must be true after a run of restarts, and a sentence for each thing that is not. */
import { upscaled } from '@horde/chain/weights/row'
import { FINAL_STATES } from '@horde/protocol/job-state'
import { eq } from 'drizzle-orm'
import { batches, jobs, weightSettings } from '../../packages/validator/src/db/schema.ts'
import { NETUID, type World } from './world.ts'

export interface Verdict {
  batches: number
  jobs: number
  measured: number
  /** Right answers whose time nobody knows. */
  excused: number
  /** Jobs that ended without an answer, and that no miner had done: how many, and why. */
  unfinished: string
  settings: number
  wrong: string[]
}

export async function judge({ db, chain, done }: World): Promise<Verdict> {
  const allBatches = await db.select().from(batches)
  const allJobs = await db.select().from(jobs)
  const included = await db.select().from(weightSettings).where(eq(weightSettings.state, 'included'))
  const wrong: string[] = []
  for (const { id, closedAt, counts, scoredAt } of allBatches) {
    if (!closedAt || !counts || !scoredAt) wrong.push(`batch ${id}: ${JSON.stringify({ closedAt, counts, scoredAt })}`)
    const times = included.filter(({ batchIds }) => batchIds.includes(id)).length
    if (times !== 1) wrong.push(`batch ${id} was counted ${times} times`)
  }
  for (const { uuid, state, reason, rightAnswer } of allJobs) {
    if (!(FINAL_STATES as readonly string[]).includes(state)) wrong.push(`job ${uuid} is still ${state}`)
    if (done.has(uuid) && !rightAnswer) wrong.push(`job ${uuid} was done, and ended ${state} (${reason})`)
    if (!done.has(uuid) && rightAnswer) wrong.push(`job ${uuid} has an answer that nobody gave`)
  }
  const known = new Set(allJobs.map(({ uuid }) => uuid))
  for (const uuid of done) if (!known.has(uuid)) wrong.push(`job ${uuid} was done, and is not known`)
  const last = included.toSorted((a, b) => a.id - b.id).at(-1)
  const held = await chain.weightsOf(NETUID, 0)
  const expected = last && upscaled(last.weights).map((weight, i) => ({ uid: last.uids[i], weight }))
  if (JSON.stringify(held) !== JSON.stringify(expected)) wrong.push('the chain holds other weights than those set last')
  return {
    ...{ batches: allBatches.length, jobs: allJobs.length, settings: included.length, wrong },
    measured: allJobs.filter(({ score }) => score !== null && score > 0).length,
    excused: allJobs.filter(({ rightAnswer, score }) => rightAnswer && score === null).length,
    unfinished: reasonsOf(allJobs.filter(({ rightAnswer }) => !rightAnswer)),
  }
}

function reasonsOf(some: readonly { reason: string | null }[]): string {
  const counts = [...Map.groupBy(some, ({ reason }) => reason)].map(([reason, own]) => `${own.length} ${reason}`)
  return counts.length > 0 ? counts.join(', ') : '0'
}
