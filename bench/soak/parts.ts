/** The three parts of a soak, as jobs to run; and running them. */
import { availableParallelism } from 'node:os'
import { silentLog } from '@horde/kit/log'
import { hostileImages, hostileScripts } from '@horde/testing/hostile/catalogue'
import { honestTrials } from '@horde/testing/hostile/honest'
import { runTrial, type TrialDeps } from '@horde/testing/hostile/run-trial'
import type { Trial } from '@horde/testing/hostile/trial'
import { TrialImages } from '@horde/testing/hostile/trial-images'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { Engine } from '../../packages/executor/src/engine/container.ts'
import { ownIdentity } from '../../packages/executor/src/engine/identity.ts'
import { sweepLeftovers } from '../../packages/executor/src/engine/leftovers.ts'
import type { SoakOptions } from './options.ts'
import { type Random, seededRandom, shuffled } from './random.ts'

/** How many hostile jobs run at once for each core: enough to have neighbours, few enough to tell who was slow. */
const HOSTILE_PER_CORE = 2
const PROGRESS_EVERY = 25

export interface Part {
  name: string
  trials: Trial[]
  /** How many of them run at once. */
  atOnce: number
}

export interface Ran {
  trial: Trial
  seconds: number
  /** None: it went as it must. */
  complaints: string[]
}

/** The same for the same options. */
export function partsOf(options: SoakOptions): Part[] {
  const random = seededRandom(options.seed)
  const honest = (count: number) => Array.from({ length: count }, () => honestTrial(random))
  const catalogue = [...hostileScripts, ...hostileImages].filter(({ name }) => options.only.test(name))
  const round = () => shuffled(catalogue, random).flatMap(trial => [trial, honestTrial(random)])
  const parts = [
    { name: 'in a row', trials: honest(options.jobs), atOnce: 1 },
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

/** Runs parts one after the other. Whatever the end, nothing that it started goes on, and no job of it stays behind. */
export async function runParts(parts: readonly Part[], signal: AbortSignal): Promise<Map<Part, Ran[]>> {
  // Closed from below: executors end first, then goes what those left that were killed.
  await using images = new TrialImages()
  await using _ = { [Symbol.asyncDispose]: () => sweepLeftovers(new Engine(), ownIdentity(), silentLog) }
  await using miner = await TestMiner.start()
  const ran = new Map<Part, Ran[]>()
  for (const part of parts) ran.set(part, await runPart(part, { miner, images }, signal))
  return ran
}

async function runPart({ name, trials, atOnce }: Part, deps: TrialDeps, signal: AbortSignal): Promise<Ran[]> {
  process.stderr.write(`soak: ${name}: ${trials.length} jobs\n`)
  const ran: Ran[] = []
  const queue = [...trials]
  const work = async () => {
    for (let trial = queue.shift(); trial !== undefined; trial = queue.shift()) {
      ran.push(await orAborted(runOne(trial, deps), signal))
      if (ran.length % PROGRESS_EVERY === 0) process.stderr.write(`soak: ${name}: ${ran.length} of ${trials.length}\n`)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, trials.length) }, work))
  return ran
}

async function runOne(trial: Trial, deps: TrialDeps): Promise<Ran> {
  const started = performance.now()
  const complaints = await runTrial(trial, deps).catch(error => [`no answer: ${(error as Error).message}`])
  return { trial, seconds: (performance.now() - started) / 1_000, complaints }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
