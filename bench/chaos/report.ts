/** What a run of chaos prints at its end. */
import type { Troubles } from './trouble.ts'
import type { Given } from './validator.ts'

const MAX_TOLD = 20

export function report(given: readonly Given[], troubles: Troubles, complaints: readonly string[]): string {
  const accepted = given.filter(({ wasAccepted }) => wasAccepted)
  const finished = accepted.filter(({ end }) => end.state === 'finished')
  const seconds = accepted.map(job => job.seconds).sort((a, b) => a - b)
  const rows: [string, string | number][] = [
    ['miner killed', troubles.minerKills],
    ['executors killed', troubles.executorKills],
    ['connections cut', troubles.cuts],
    ['jobs accepted', accepted.length],
    ['finished with their own answer', finished.filter(({ isRight }) => isRight).length],
    ['ended with their executor', accepted.length - finished.length],
    ['offers not accepted', given.length - accepted.length],
    ['median seconds of a job', (seconds[Math.floor(seconds.length / 2)] ?? 0).toFixed(1)],
    ['worst seconds of a job', (seconds.at(-1) ?? 0).toFixed(1)],
    ['wrong', complaints.length],
  ]
  const told = complaints.slice(0, MAX_TOLD).map(complaint => `wrong: ${complaint}`)
  return [...rows.map(([name, value]) => `${name.padEnd(32)}${String(value).padStart(8)}`), ...told].join('\n')
}
