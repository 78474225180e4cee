/** Formats what a chaos run prints at its end. */
import type { FaultCounts } from './inject-faults.ts'
import type { JobOutcome } from './run-jobs.ts'

const MAX_SHOWN = 20

export function report(outcomes: readonly JobOutcome[], faults: FaultCounts, problems: readonly string[]): string {
  const accepted = outcomes.filter(({ wasAccepted }) => wasAccepted)
  const finished = accepted.filter(({ end }) => end.state === 'finished')
  const seconds = accepted.map(job => job.seconds).sort((a, b) => a - b)
  const rows: [string, string | number][] = [
    ['miner killed', faults.minerKills],
    ['executors killed', faults.executorKills],
    ['connections cut', faults.cuts],
    ['jobs accepted', accepted.length],
    ['finished with their own answer', finished.filter(({ isRight }) => isRight).length],
    ['broken with their executor', accepted.length - finished.length],
    ['offers not accepted', outcomes.length - accepted.length],
    ['median job, seconds', (seconds[Math.floor(seconds.length / 2)] ?? 0).toFixed(1)],
    ['longest job, seconds', (seconds.at(-1) ?? 0).toFixed(1)],
    ['problems', problems.length],
  ]
  const shown = problems.slice(0, MAX_SHOWN).map(problem => `problem: ${problem}`)
  return [...rows.map(([name, value]) => `${name.padEnd(32)}${String(value).padStart(8)}`), ...shown].join('\n')
}
