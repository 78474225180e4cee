import { isExecutorClass } from '@horde/protocol/classes'
import { FIRST_STATE, type OpenState } from '@horde/protocol/job-state'
import { jobUuid } from '@horde/protocol/primitives'
import { type SyntheticJob, syntheticJob } from '../benchmarks/synthetic-job.ts'
import { addJobs, countJobs } from '../db/batches.ts'
import type { jobs } from '../db/schema.ts'
import { untilSaved } from '../db/until-saved.ts'
import { driveJob } from '../drive-job.ts'
import { briefly } from '../job/brief-end.ts'
import { greet } from '../miner/greet.ts'
import { type Conversation, type Manifest, MinerLink } from '../miner/link.ts'
import type { BatchJob, MinerPart, OpenJob, PartDeps } from './batch-part.ts'
import { endWithoutExecutor, endWithoutPlace } from './end-undriven.ts'
import { executorsOf } from './executors-of.ts'
import { newJobOf } from './new-job.ts'

/** The largest frame that a miner may send about a synthetic job, in bytes. */
const MAX_SYNTHETIC_FRAME_BYTES = 2 * 1024 * 1024
/** How much a miner may send about all its jobs of a batch, in bytes. */
const MAX_SYNTHETIC_BYTES = 64 * 1024 * 1024

/** A miner's whole part in a batch: a job for each of its executors, all over one connection. Each job stands alone. */
export async function runMinerPart(
  part: MinerPart,
  first: OpenJob,
  deps: PartDeps,
  signal: AbortSignal,
): Promise<BatchJob[]> {
  await deps.dials.begin(part.miner.hotkey, part.endsAt, signal)
  await using link = linkTo(part, deps, signal)
  const manifest = await greet(link, { ...part.limits, endsAt: part.endsAt }, deps.clock, signal)
  return await runJobs(part, first, { link, manifest }, deps, signal)
}

interface Greeted {
  link: MinerLink
  manifest: Manifest | undefined
}

/** The jobs of a miner that was reached, or of which nothing more is to be heard. */
async function runJobs(
  part: MinerPart,
  first: OpenJob,
  { link, manifest }: Greeted,
  deps: PartDeps,
  signal: AbortSignal,
): Promise<BatchJob[]> {
  const [firstClass, ...otherClasses] = executorsOf(manifest, part.maxJobsPerMiner)
  if (manifest && firstClass === undefined) {
    void deps.gate.arrive()
    return [{ miner: part.miner, uuid: first.uuid, end: await endWithoutExecutor(first, deps) }]
  }

  const others = await Promise.all(otherClasses.map(executorClass => newJobOf(part.miner, part, executorClass)))
  const rows = others.map(({ row }) => row)
  await untilSaved(() => addJobs(deps.db, part.batchId, rows, part.startedAt), deps, signal)
  await deps.gate.arrive()
  const all = [{ ...first, executorClass: firstClass }, ...others.map(({ job }) => job)]
  return await Promise.all(
    all.map(async (job, i) => {
      using talk = link.converse(job.uuid)
      await rounds(i)
      return await runAlone(part, { ...job, mayHoldBack: manifest === undefined }, talk, deps, signal)
    }),
  )
}

/**
 * So many turns of the event loop. All miners come through the gate in one turn and ask for a place for their first job, in
 * the next one for their second: a miner that lists many executors does not take all places.
 */
async function rounds(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise(resolve => setImmediate(resolve))
}

/** Takes a miner's jobs up that an earlier process left open. */
export async function resumeMinerPart(
  part: MinerPart,
  rows: readonly (typeof jobs.$inferSelect)[],
  deps: PartDeps,
  signal: AbortSignal,
): Promise<BatchJob[]> {
  await deps.dials.begin(part.miner.hotkey, part.endsAt, signal)
  await using link = linkTo(part, deps, signal)
  using stack = new DisposableStack()
  // Whatever the miner says of a job right behind its manifest is heard, however late the job goes on.
  const talks = rows.map(({ uuid }) => stack.use(link.converse(uuid)))
  const manifest = await greet(link, { ...part.limits, endsAt: part.endsAt }, deps.clock, signal)
  const alone = await neverOffered(part, rows, manifest, deps)
  if (alone) return await runJobs(part, alone, { link, manifest }, deps, signal)
  void deps.gate.arrive()
  const [firstClass] = executorsOf(manifest, 1)
  return await Promise.all(
    rows.map((row, i) => {
      const uuid = jobUuid.parse(row.uuid)
      const { executorClass, challenge } = row
      if (challenge?.benchmark !== part.benchmark.name) return { miner: part.miner, uuid, end: undefined }
      const known = executorClass !== null && isExecutorClass(executorClass) ? executorClass : firstClass
      // Whoever told a manifest is no miner of 2024.
      const workAt = deps.hostClock?.heard(row.workSent)
      const left = { state: row.state as OpenState, repeatOffer: manifest !== undefined, workAt }
      return runAlone(
        part,
        { uuid, work: challenge.work, executorClass: known, left, mayHoldBack: manifest === undefined },
        talks[i] as Conversation,
        deps,
        signal,
      )
    }),
  )
}

/**
 * The job of a miner with more executors, of which the dead process had not heard yet: it was offered to nobody, and the
 * others are still to be made.
 */
async function neverOffered(
  { batchId, benchmark, miner, maxJobsPerMiner }: MinerPart,
  [row, ...more]: readonly (typeof jobs.$inferSelect)[],
  manifest: Manifest | undefined,
  { db }: PartDeps,
): Promise<OpenJob | undefined> {
  if (!row || more.length > 0 || row.state !== FIRST_STATE || row.offeredAt !== null) return undefined
  if (manifest === undefined || executorsOf(manifest, maxJobsPerMiner).length < 2) return undefined
  if (row.challenge?.benchmark !== benchmark.name || (await countJobs(db, batchId, miner.hotkey)) > 1) return undefined
  return { uuid: jobUuid.parse(row.uuid), work: row.challenge.work, executorClass: undefined }
}

function linkTo({ miner, reconnect }: MinerPart, { hotkey, clock, log }: PartDeps, signal: AbortSignal): MinerLink {
  return new MinerLink({
    ...{ miner, hotkey, clock, log, signal },
    maxFrameBytes: MAX_SYNTHETIC_FRAME_BYTES,
    maxBytes: MAX_SYNTHETIC_BYTES,
    ...(reconnect ? { reconnect } : {}),
  })
}

/** Whatever goes wrong with this job is kept from the others. */
async function runAlone(
  part: MinerPart,
  job: OpenJob & Pick<SyntheticJob, 'left'> & { mayHoldBack: boolean },
  talk: Conversation,
  deps: PartDeps,
  signal: AbortSignal,
): Promise<BatchJob> {
  const { miner, benchmark, scoring, limits, endsAt, leaveOpen } = part
  const { uuid } = job
  using _ = talk
  try {
    const place = await deps.starts.begin(miner.hotkey, endsAt, signal)
    if (!place) return { miner, uuid, end: await endWithoutPlace(job, deps) }
    using held = new DisposableStack()
    held.use(place)
    // Nobody waits for the place of a miner that holds its offer back; when it accepts, one more runs than may start.
    const onHeldBack = job.mayHoldBack ? () => held.dispose() : undefined
    const toDrive = syntheticJob({ ...job, benchmark, scoring, limits, endsAt, leaveOpen, onHeldBack }, deps.log)
    return { miner, uuid, end: briefly(await driveJob(toDrive, { ...deps, talk }, signal)) }
  } catch (err) {
    if (!signal.aborted) deps.log.error({ err, jobUuid: uuid, miner: miner.hotkey }, 'job could not be driven')
    return { miner, uuid, end: undefined }
  }
}
