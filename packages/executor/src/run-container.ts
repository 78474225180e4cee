/** Runs a created container to one of its ends, and knows which it was. */
import type { Clock } from '@horde/kit/time'
import type { CapturedOutput } from './captured-output.ts'
import { type Engine, EngineError } from './container.ts'

/** How long the output of a container that has ended, or was killed, may still take to arrive, in ms. */
const DRAIN_MS = 10_000

/** What the engine gives as exit code when a program cannot be run, and when there is none of that name. */
const NOT_EXECUTABLE = 126
const NOT_FOUND = 127

/** The job's own end, or ours to it. `note` is a sentence for its stderr. */
export type RunEnd =
  | { kind: 'exited'; exitStatus: number; note?: string }
  | { kind: 'timed out' | 'printed too much' | 'not started'; note: string }

export interface RunLimits {
  /** From the container's start, in ms. */
  timeMs: number
  /** stdout and stderr together, in bytes. */
  maxOutputBytes: number
}

export interface RunDeps {
  engine: Engine
  output: CapturedOutput
  clock: Clock
}

/** Starts the container, and comes back when it does not run any more, whatever ended it. */
export async function runContainer(id: string, limits: RunLimits, deps: RunDeps, signal: AbortSignal): Promise<RunEnd> {
  const { engine, output, clock } = deps
  const stream = await engine.attach(id)
  const collecting = output.collect(stream, limits.maxOutputBytes)
  collecting.catch(() => {})
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  try {
    const refused = await start(engine, id)
    if (refused) return refused
    const end = await Promise.race([
      engine.waitForEnd(id, either).then(() => 'exited' as const),
      clock.sleep(limits.timeMs, either).then(() => 'timed out' as const),
      collecting.then(how => (how === 'over the cap' ? ('printed too much' as const) : never(either))),
    ])
    if (end !== 'exited') await killAndWait(engine, id, signal)
    await Promise.race([collecting, clock.sleep(DRAIN_MS, either)])
    return await describe(engine, id, end, limits)
  } finally {
    stop.abort()
    stream.destroy()
  }
}

async function start(engine: Engine, id: string): Promise<RunEnd | undefined> {
  try {
    await engine.start(id)
    return undefined
  } catch (error) {
    if (!(error instanceof EngineError) || error.status === undefined) throw error
    const { exitCode } = await engine.endOf(id)
    if (exitCode === NOT_FOUND) return { kind: 'exited', exitStatus: exitCode, note: 'The image has no such command.' }
    if (exitCode === NOT_EXECUTABLE) return { kind: 'exited', exitStatus: exitCode, note: 'The command cannot be run.' }
    return { kind: 'not started', note: `The container could not be started: ${error.message}` }
  }
}

async function killAndWait(engine: Engine, id: string, signal: AbortSignal): Promise<void> {
  await engine.kill(id)
  await engine.waitForEnd(id, signal)
}

async function describe(
  engine: Engine,
  id: string,
  end: 'exited' | 'timed out' | 'printed too much',
  limits: RunLimits,
): Promise<RunEnd> {
  if (end === 'timed out') return { kind: end, note: `The job was killed after its ${limits.timeMs / 1_000} seconds.` }
  if (end === 'printed too much') {
    return { kind: end, note: `The job was killed because it printed more than ${limits.maxOutputBytes} bytes.` }
  }
  const { exitCode, outOfMemory } = await engine.endOf(id)
  const note = outOfMemory && exitCode !== 0 ? { note: 'The job ran out of memory.' } : {}
  return { kind: 'exited', exitStatus: exitCode, ...note }
}

/** Settles only when the race is over. */
function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
