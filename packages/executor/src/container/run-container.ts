/** Runs a created container until it ends, and reports how it ended. */

import type { Containers } from '@horde/engine/containers'
import { isRefusal } from '@horde/engine/engine-error'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { CapturedOutput } from './captured-output.ts'
import { engineDisk } from './disk.ts'
import { Absences, acrossRestart } from './engine-restart.ts'
import { type Cut, followOutput } from './follow-output.ts'
import { type RootLimits, watchRoot } from './watch-root.ts'

/** How long output may still arrive after a container has ended or was killed, in ms. */
const DRAIN_MS = 10_000

const INCOMPLETE = "Some of the job's output did not arrive from the container engine."
/** How many of the places where the output was cut are recorded. */
const MAX_CUTS_NOTED = 10

const STOPPED = 'The job was stopped from outside: by the container engine, or by its operator.'
/** The exit codes of containers that an engine ended itself, or lost track of. */
const ENDED_BY_ENGINE = [255, 143, 137]

/** How long a killed container may take to end, in ms. */
const KILL_MS = 60_000

/** The exit code of a process that SIGKILL ended. */
const KILLED = 137

/** The engine's exit codes for a command that could not run, by the reason. */
const NO_COMMAND: Record<number, ExitFacts> = {
  126: { why: 'command cannot be run', note: 'The command cannot be run.' },
  127: { why: 'no such command', note: 'The image has no such command.' },
}
const OUT_OF_MEMORY: ExitFacts = { why: 'out of memory', note: 'The job ran out of memory.' }
/** With cgroup v1, the engine may not report out-of-memory when the whole container dies at once. */
const KILLED_SOMEHOW: ExitFacts = {
  why: 'killed from outside',
  note: 'The job was killed from outside, most likely for running out of memory.',
}
/**
 * What the container's init prints, and nothing else, when it cannot run the command. A shell's own 127 looks
 * different.
 */
const INIT_FAILED = /^\[FATAL tini \(\d+\)\] exec .* failed: [^\n]*\n$/

/** Paths of the engine on its host: a job's author must not see them. */
const HOST_PATH = /\/[^\s"']*\/(?:overlay2|containers|volumes|snapshots|rootfs)\/[^\s"':]*/g

/** How the job ended: by itself, or killed by the executor. `note` is a sentence for its stderr. */
export type RunEnd = (
  | ({ kind: 'exited'; exitStatus: number } & Partial<ExitFacts>)
  | { kind: Killed | 'not started' | 'stopped'; note: string }
) & {
  /** Set when the engine went away while the job ran, or did not deliver everything that the job printed. */
  wasCut?: boolean
}

/** What is known about an exit besides its status. */
interface ExitFacts {
  /** For the log: a constant phrase. */
  why: string
  note: string
}

/** What a job is killed for. */
type Killed = 'timed out' | 'printed too much' | 'wrote too much' | 'filled the disk'

export interface RunLimits {
  /** From the container's start, in ms. */
  timeMs: number
  /** stdout and stderr together, in bytes. */
  maxOutputBytes: number
  /** Where the job may write to its image's own folders. */
  root?: RootLimits & {
    /** Where the engine keeps its containers. */
    dataFolder: string
  }
}

export interface RunDeps {
  containers: Pick<
    Containers,
    'attach' | 'start' | 'kill' | 'waitForEnd' | 'endOf' | 'isRunning' | 'wasSignalled' | 'writtenBytes'
  >
  output: CapturedOutput
  clock: Clock
}

/** Starts the container. Resolves when it has ended for any reason. */
export async function runContainer(id: string, limits: RunLimits, deps: RunDeps, signal: AbortSignal): Promise<RunEnd> {
  const { containers, clock } = deps
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const ended = Promise.withResolvers<void>()
  ended.promise.catch(() => {})
  const absences = new Absences()
  const following = { ...deps, ended: ended.promise, absences }
  const followed = followOutput(id, await containers.attach(id), limits.maxOutputBytes, following, either)
  followed.catch(() => {})
  try {
    const refusal = await start(containers, id)
    if (refusal) return refusal
    const wait = () => containers.waitForEnd(id, either)
    acrossRestart(wait, clock, either, () => absences.add()).then(() => ended.resolve(), ended.reject)
    const end = await Promise.race([
      ended.promise.then(() => 'exited' as const),
      clock.sleep(limits.timeMs, either).then(() => 'timed out' as const),
      followed.then(({ how }) => (how === 'over the cap' ? ('printed too much' as const) : never(either))),
      limits.root ? watchRootOf(id, limits.root, deps, either) : never(either),
    ])
    if (end !== 'exited') await killAndWait(containers, id, clock, signal)
    const drained = await Promise.race([followed, clock.sleep(DRAIN_MS, either)])
    // A job may have printed more than the cap before it ended.
    const isOverCap = end === 'exited' && drained?.how === 'over the cap'
    const runEnd = await describe(id, isOverCap ? 'printed too much' : end, limits, absences, deps)
    if (runEnd.kind === 'exited' && (await isEndUnknown(id, runEnd.exitStatus, absences, deps))) {
      return { kind: 'stopped', note: STOPPED, wasCut: true }
    }
    if (drained !== undefined && drained.cuts.length === 0) return runEnd
    const notes = [runEnd.note, INCOMPLETE, ...(drained?.cuts ?? []).slice(0, MAX_CUTS_NOTED).map(whereCut)]
    return { ...runEnd, wasCut: true, note: notes.filter(Boolean).join(' ') }
  } finally {
    stop.abort()
  }
}

function whereCut({ stdout, stderr }: Cut): string {
  return `It broke off after ${stdout} bytes of stdout and ${stderr} bytes of stderr.`
}

function watchRootOf(
  id: string,
  limits: NonNullable<RunLimits['root']>,
  { containers, clock }: RunDeps,
  signal: AbortSignal,
) {
  const writtenBytes = () => containers.writtenBytes(id)
  return watchRoot(limits, { writtenBytes, disk: () => engineDisk(limits.dataFolder), clock }, signal)
}

async function start(containers: RunDeps['containers'], id: string): Promise<RunEnd | undefined> {
  try {
    await containers.start(id)
    return undefined
  } catch (error) {
    if (!isRefusal(error)) throw error
    const { exitCode } = await containers.endOf(id)
    // The job's own command, where the runtime starts no init before it.
    const facts = error.problem === 'cannot-run' ? NO_COMMAND[exitCode] : undefined
    if (facts !== undefined) return { kind: 'exited', exitStatus: exitCode, ...facts }
    const reason = error.message.replaceAll(HOST_PATH, '…')
    return { kind: 'not started', note: `The container could not be started: ${reason}` }
  }
}

async function killAndWait(
  containers: RunDeps['containers'],
  id: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  await acrossRestart(() => containers.kill(id), clock, signal)
  const ended = acrossRestart(() => containers.waitForEnd(id, signal), clock, signal)
  await withDeadline(ended, KILL_MS, 'the end of a killed container')
}

/** Returns whether an exit code comes from the engine and not from the job. */
async function isEndUnknown(
  id: string,
  exitStatus: number,
  absences: Absences,
  { containers, clock }: RunDeps,
): Promise<boolean> {
  if (!ENDED_BY_ENGINE.includes(exitStatus)) return false
  if (absences.count > 0) return true
  const ask = async () => containers.wasSignalled(id, (await containers.endOf(id)).finishedAt)
  const wasSignalled = await acrossRestart(ask, clock, undefined, () => absences.add())
  // An engine that restarted has forgotten which containers it signalled when it stopped.
  return wasSignalled || absences.count > 0
}

async function describe(
  id: string,
  end: 'exited' | Killed,
  limits: RunLimits,
  absences: Absences,
  { containers, output, clock }: RunDeps,
): Promise<RunEnd> {
  if (end !== 'exited') return { kind: end, note: `The job was killed ${becauseOf(end, limits)}.` }
  const { exitCode, outOfMemory } = await acrossRestart(
    () => containers.endOf(id),
    clock,
    undefined,
    () => absences.add(),
  )
  const exited = { kind: 'exited' as const, exitStatus: exitCode }
  if (outOfMemory && exitCode !== 0) return { ...exited, ...OUT_OF_MEMORY }
  if (exitCode === KILLED) return { ...exited, ...KILLED_SOMEHOW }
  const noCommand = NO_COMMAND[exitCode]
  if (noCommand === undefined || !INIT_FAILED.test((await output.texts()).stderr)) return exited
  return { ...exited, ...noCommand }
}

function becauseOf(end: Killed, limits: RunLimits): string {
  switch (end) {
    case 'timed out':
      return `after its ${limits.timeMs / 1_000} seconds`
    case 'printed too much':
      return `because it printed more than ${limits.maxOutputBytes} bytes`
    case 'wrote too much':
      return `because it wrote more than ${limits.root?.maxBytes} bytes to the folders of its image`
    case 'filled the disk':
      return 'because the disk of the container engine ran short while it wrote to the folders of its image'
  }
}

/** Rejects when the signal aborts, and never resolves. */
function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
