/** Draws the jobs of a soak's three parts, and runs them. */
import { availableParallelism } from 'node:os'
import { silentLog } from '@horde/kit/log'
import { hostileImages, hostileScripts } from '@horde/testing/hostile/catalogue'
import { honestTrials } from '@horde/testing/hostile/honest'
import { runTrial, type TrialDeps } from '@horde/testing/hostile/run-trial'
import type { Trial } from '@horde/testing/hostile/trial'
import { TrialImages } from '@horde/testing/hostile/trial-images'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { connectDefaultEngine } from '../../packages/engine/src/connect.ts'
import { ownIdentity } from '../../packages/executor/src/workspace/identity.ts'
import { removeOrphans } from '../../packages/executor/src/workspace/orphans.ts'
import type { SoakOptions } from './options.ts'
import { type Random, seededRandom, shuffled } from './random.ts'

/**
 * How many jobs of a hostile round run at once for each core. With two a job has other jobs beside it. With many more
 * it would be unclear which of them slowed the others down.
 */
const HOSTILE_PER_CORE = 2
const PROGRESS_EVERY = 25

export interface Part {
  name: string
  trials: Trial[]
  /** How many trials run at once. */
  atOnce: number
}

export interface TrialResult {
  trial: Trial
  seconds: number
  /** What differs from the trial's expectation; empty when it passed. */
  complaints: string[]
}

/** Draws the parts of a soak: the same ones for the same options. */
export function partsOf(options: SoakOptions): Part[] {
  const random = seededRandom(options.seed)
  const honest = (count: number) => Array.from({ length: count }, () => honestTrial(random))
  const catalogue = [...hostileScripts, ...hostileImages].filter(({ name }) => options.only.test(name))
  const round = () => shuffled(catalogue, random).flatMap(trial => [trial, honestTrial(random)])
  const parts = [
    { name: 'one after the other', trials: honest(options.jobs), atOnce: 1 },
    ...Array.from({ length: options.waves }, (_, wave) => {
      return {
        name: `${options.atOnce} at once, wave ${wave + 1}`,
        trials: honest(options.atOnce),
        atOnce: options.atOnce,
      }
    }),
    ...Array.from({ length: options.hostileRounds }, (_, at) => {
      return { name: `hostile, round ${at + 1}`, trials: round(), atOnce: HOSTILE_PER_CORE * availableParallelism() }
    }),
  ]
  return parts.filter(({ trials }) => trials.length > 0)
}

function honestTrial(random: Random): Trial {
  const text = `payload ${random()}`
  const kinds = honestTrials(text)
  return kinds[Math.floor(random() * kinds.length)] as Trial
}

/** Runs parts one after the other. However it ends, it stops its executors and removes what their jobs left. */
export async function runParts(parts: readonly Part[], signal: AbortSignal): Promise<Map<Part, TrialResult[]>> {
  // The disposers run from the last to the first: they stop the executors, then remove the orphans of killed ones.
  await using images = new TrialImages()
  const engine = await connectDefaultEngine()
  await using _ = { [Symbol.asyncDispose]: () => removeOrphans(engine, ownIdentity(), silentLog) }
  await using miner = await TestMiner.start()
  const results = new Map<Part, TrialResult[]>()
  for (const part of parts) results.set(part, await runPart(part, { miner, images }, signal))
  return results
}

async function runPart({ name, trials, atOnce }: Part, deps: TrialDeps, signal: AbortSignal): Promise<TrialResult[]> {
  process.stderr.write(`soak: ${name}: ${trials.length} jobs\n`)
  const results: TrialResult[] = []
  const queue = [...trials]
  const work = async () => {
    for (let trial = queue.shift(); trial !== undefined; trial = queue.shift()) {
      results.push(await rejectOnAbort(runOne(trial, deps), signal))
      if (results.length % PROGRESS_EVERY === 0)
        process.stderr.write(`soak: ${name}: ${results.length} of ${trials.length} jobs ended\n`)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, trials.length) }, work))
  return results
}

async function runOne(trial: Trial, deps: TrialDeps): Promise<TrialResult> {
  const started = performance.now()
  const complaints = await runTrial(trial, deps).catch(error => [`no answer: ${(error as Error).message}`])
  return { trial, seconds: (performance.now() - started) / 1_000, complaints }
}

function rejectOnAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
