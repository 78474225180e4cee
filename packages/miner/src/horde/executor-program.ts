/**
 * The program that a pool's executors run: this project's executor, or one that ComputeHorde published in Python. It
 * decides how they are started, and which dialect they speak.
 */
import type { Dialect } from '@horde/protocol/handshake/dialects'

export const EXECUTOR_PROGRAMS = ['compute-horde', 'python-2024', 'python-2026'] as const

export type ProgramName = (typeof EXECUTOR_PROGRAMS)[number]

const PYTHON = ['python', 'manage.py', 'run_executor']

/**
 * Returns the command that starts an executor. Empty: the image's own.
 *
 * @param startupSeconds how long an executor may take from its connection until it is ready, in seconds
 */
export function commandOf(program: ProgramName, startupSeconds: number): readonly string[] {
  if (program === 'compute-horde') return []
  return program === 'python-2024' ? PYTHON : [...PYTHON, '--startup-time-limit', String(startupSeconds)]
}

/** Returns the dialect of an executor. Undefined: it says which it speaks when it connects. */
export function dialectOf(program: ProgramName): Dialect | undefined {
  if (program === 'compute-horde') return undefined
  return program === 'python-2024' ? 'v0' : 'v2026'
}

/** Returns an executor's variables in the form that its program reads. */
export function environmentFor(
  program: ProgramName,
  environment: Readonly<Record<string, string>>,
): Record<string, string> {
  const { DEBUG_NO_GPU_MODE: noGpu, ...rest } = environment
  if (program === 'compute-horde' || noGpu === undefined) return { ...environment }
  return { ...rest, ...(/^(1|true|yes|on)$/i.test(noGpu.trim()) && { DEBUG_NO_GPU_MODE: '1' }) }
}

/** What a Python executor cannot do in a pool, by the pool's key. */
export type ProgramMistake = { key: 'count' | 'warm' | 'gpus' | 'folder'; problem: string }

/** Returns which of a pool's settings its program cannot have. */
export function programMistakes({ program, manager, count, warm, gpus, folder }: ProgramPool): ProgramMistake[] {
  if (program === 'compute-horde') return []
  const mistakes: ProgramMistake[] = []
  const isOurs = manager === 'docker' || manager === 'process'
  if (isOurs && gpus.length > 0) mistakes.push({ key: 'gpus', problem: 'must be empty: Python executors use all GPUs' })
  if (manager === 'process' && folder === undefined)
    mistakes.push({ key: 'folder', problem: 'is missing: it is the folder with manage.py of a Python executor' })
  if (program === 'python-2024') return mistakes
  if (isOurs && count > 1) mistakes.push({ key: 'count', problem: `must be at most 1: ${ONE_EACH}` })
  if (warm > 0) mistakes.push({ key: 'warm', problem: 'must be 0: this executor leaves when it gets no job at once' })
  return mistakes
}

type ProgramPool = {
  program: ProgramName
  manager: string
  count: number
  warm: number
  gpus: readonly unknown[]
  folder: string | undefined
}

/** Why an engine can have one Python executor of 2026 only. */
export const ONE_EACH = 'a Python executor of 2026 kills the jobs of all others on its engine when it starts'

/** Returns the names of the containers that a Python executor of 2026 makes, and leaves when it is killed. */
export function containersOf(token: string): string[] {
  return [`ch-${token}-job`, `ch-${token}-nginx`]
}
