/** Formats what a chaos run prints at its end: the faults, and how the jobs of each dialect ended. */
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { FaultCounts } from './inject-faults.ts'
import type { JobOutcome } from './run-jobs.ts'

const MAX_SHOWN = 20

export function report(
  outcomes: readonly JobOutcome[],
  faults: FaultCounts,
  dialects: readonly Dialect[],
  problems: readonly string[],
): string {
  const columns = dialects.map(dialect => columnOf(outcomes.filter(job => job.dialect === dialect)))
  const names = Object.keys(columns[0] ?? {}) as (keyof ReturnType<typeof columnOf>)[]
  const rows: [string, ...(string | number)[]][] = [
    ['miner killed', faults.minerKills],
    ['executors killed', faults.executorKills],
    ['connections cut', faults.cuts],
    ['', ...dialects],
    ...names.map(name => [name, ...columns.map(column => column[name])] as [string, ...string[]]),
    ['problems', problems.length],
  ]
  const shown = problems.slice(0, MAX_SHOWN).map(problem => `problem: ${problem}`)
  return [...rows.map(([name, ...cells]) => `${name.padEnd(32)}${cells.map(cell).join('')}`), ...shown].join('\n')
}

function columnOf(outcomes: readonly JobOutcome[]) {
  const accepted = outcomes.filter(({ wasAccepted }) => wasAccepted)
  const finished = accepted.filter(({ end }) => end.state === 'finished')
  const seconds = accepted.map(job => job.seconds).sort((a, b) => a - b)
  return {
    'jobs accepted': accepted.length,
    'finished with their own answer': finished.filter(({ isRight }) => isRight).length,
    'broken with their executor': accepted.length - finished.length,
    'offers not accepted': outcomes.length - accepted.length,
    'median job, seconds': (seconds[Math.floor(seconds.length / 2)] ?? 0).toFixed(1),
    'longest job, seconds': (seconds.at(-1) ?? 0).toFixed(1),
  }
}

const cell = (value: string | number) => String(value).padStart(8)
