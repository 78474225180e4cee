/**
 * Measures how much the time of a hashcat job depends on luck, for one password and for a list: the spread over jobs,
 * and the score of two hotkeys that share a processor relative to one. Command:
 * `node bench/hashcat.ts [rounds] [characters] [image]`.
 *
 * A job's time is the processor time of its container, because other load on the machine hardly changes it. The time
 * that hashcat takes without work is subtracted: on a GPU it is a small share.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { jobVolume } from '@horde/testing/jobs/job-volume'
import type { Benchmark } from '../packages/validator/src/benchmarks/benchmark.ts'
import { ALGORITHMS, hashcatBenchmark } from '../packages/validator/src/benchmarks/hashcat.ts'
import { hashcatListBenchmark } from '../packages/validator/src/benchmarks/hashcat-list.ts'
import { scoreJob } from '../packages/validator/src/scoring/job-score.ts'

const run = promisify(execFile)

const ROUNDS = 12
const CHARACTERS = '5'
const IMAGE = 'compute-horde/hashcat:v0'
/** A container's default is 1,024. With less, everything else on the machine goes first. */
const CPU_SHARES = '128'
const EFFICIENCY = { name: 'efficiency', exponent: 1.2, cap: 16 } as const

/** Prints `user system`, in seconds, after the job's own output. */
const TIMED = `TIMEFORMAT='cpu %U %S'; time sh /usr/local/lib/hashcat-job/crack.sh "$@"`

/** Runs one job, and returns its processor time in seconds. */
async function processorSeconds(benchmark: Benchmark): Promise<number> {
  const work = await benchmark.prepare(0)
  await using volume = await jobVolume(work.input)
  const { stdout, stderr } = await run('docker', [
    ...['run', '--rm', '--cpu-shares', CPU_SHARES, '--network', 'none', '--read-only', '--tmpfs', '/tmp'],
    ...['--mount', `type=bind,source=${volume.path},target=/volume,readonly`],
    ...['--entrypoint', '/bin/bash', work.image, '-c', TIMED, 'job', ...work.command],
  ])
  const { score, comment } = benchmark.verify(work.challenge, { stdout, stderr })
  if (score !== 1) throw new Error(`${benchmark.name}: ${comment}\n${stderr}`)
  const [, user, system] = /cpu (\S+) (\S+)/.exec(stderr) ?? []
  return Number(user) + Number(system)
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** Returns the standard deviation divided by the mean. */
function spread(values: readonly number[]): number {
  const middle = mean(values)
  return Math.sqrt(mean(values.map(value => (value - middle) ** 2))) / middle
}

/**
 * Returns the score of two hotkeys on one processor relative to one hotkey, over all pairs of these jobs. Each has half
 * of the processor until the shorter job ends.
 */
function gainBySplitting(seconds: readonly number[]): number {
  const referenceSeconds = mean(seconds)
  const score = (time: number) =>
    scoreJob({ seconds: time, timeoutSeconds: Number.MAX_VALUE, referenceSeconds, quality: 1 }, EFFICIENCY)
  const pairs = seconds.flatMap((mine, i) => seconds.filter((_, k) => k !== i).map(other => [mine, other] as const))
  const together = mean(pairs.map(([mine, other]) => score(Math.min(2 * mine, mine + other))))
  return (2 * together) / mean(seconds.map(score))
}

async function measure(name: string, benchmark: Benchmark, idle: number, rounds: number): Promise<void> {
  const seconds: number[] = []
  for (let round = 0; round < rounds; round++) seconds.push((await processorSeconds(benchmark)) - idle)
  const numbers = [
    mean(seconds).toFixed(1),
    `${(100 * spread(seconds)).toFixed(1)} %`,
    gainBySplitting(seconds).toFixed(2),
  ]
  process.stdout.write(`| ${[name, rounds, ...numbers].join(' | ')} |\n`)
}

const [rounds, characters, image] = [process.argv[2] ?? ROUNDS, process.argv[3] ?? CHARACTERS, process.argv[4] ?? IMAGE]
const of = (passwordLength: number) => [{ ...ALGORITHMS[0], passwordLength }] as const
const idle = await processorSeconds(hashcatListBenchmark(of(2), image))
process.stdout.write('| job | jobs | CPU s | spread | two hotkeys to one |\n|---|---|---|---|---|\n')
await measure('one password', hashcatBenchmark(of(Number(characters)), image), idle, 2 * Number(rounds))
await measure('64 passwords', hashcatListBenchmark(of(Number(characters)), image), idle, Number(rounds))
