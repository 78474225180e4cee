import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { WAIT_MS } from '@horde/testing/limits'
import { ALGORITHMS } from '@horde/validator/benchmarks/hashcat'
import { passwordCount } from '@horde/validator/benchmarks/hashcat-list'
import { scoreJob } from '@horde/validator/scoring/job-score'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const DEFAULT_SCORING = { name: 'efficiency', exponent: 1.2, cap: 16 } as const
const run = promisify(execFile)
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** The folder for all temporary files of one run. Every process of the run inherits its path as TMPDIR. */
let folder = ''
/** What the run has printed so far. */
let log = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e2e-'))
  log = ''
})
afterEach(async () => {
  expect(await resourcesOfRun(), 'nothing may be left').toEqual({
    processes: [],
    containers: [],
    volumes: [],
    files: [],
  })
  await rm(folder, { recursive: true })
})

/** Returns the processes, containers, volumes and files that the run has on the machine now. */
async function resourcesOfRun() {
  const jobs = new Set([...log.matchAll(/jobUuid=([0-9a-f]{8})/g)].map(([, uuid]) => uuid))
  const ofRun = (label: string) => jobs.has(label.slice(0, 8))
  const format = ['--format', '{{.Label "compute-horde.job"}}']
  return {
    processes: await processesOfRun(),
    containers: (await docker('ps', '-a', ...format)).filter(ofRun),
    volumes: (await docker('volume', 'ls', ...format)).filter(ofRun),
    files: await readdir(folder),
  }
}

async function docker(...args: string[]): Promise<string[]> {
  return (await run('docker', args)).stdout.split('\n').filter(Boolean)
}

/** Returns the command lines of all processes whose environment has the run's folder. */
async function processesOfRun(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const lines = await Promise.all(
    pids.map(async pid => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      if (!environment.includes(`TMPDIR=${folder}\0`)) return ''
      return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    }),
  )
  return lines.filter(Boolean).map(line => line.replaceAll('\0', ' '))
}

type Run = { child: ChildProcess; ended: Promise<{ code: number | null; stdout: string }> }

function devnet(...args: string[]): Run {
  const env = { ...process.env, TMPDIR: folder }
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
    log += chunk
  })
  child.stderr.on('data', chunk => {
    log += chunk
  })
  return { child, ended: new Promise(resolve => child.once('close', code => resolve({ code, stdout }))) }
}

const PASSWORD_LENGTH = 3

/** Returns the default score of a right answer after this many seconds, for each algorithm that a batch may use. */
function scoresOf(seconds: number): number[] {
  return ALGORITHMS.map(algorithm => {
    const { timeoutSeconds } = algorithm
    // The setting is for one password, which is found after half of the key space on average. The last one of a list is
    // found near the end of the key space.
    const count = passwordCount({ ...algorithm, passwordLength: PASSWORD_LENGTH })
    const referenceSeconds = (algorithm.referenceSeconds * count) / (count + 1) / 0.5
    return scoreJob({ seconds, timeoutSeconds, referenceSeconds, quality: 1 }, DEFAULT_SCORING)
  })
}

describe.each([['process'], ['docker']])('pnpm dev --once --json --executors %s', executors => {
  it('cracks a hash on every miner and sets weights on the chain', async () => {
    const args = ['--once', '--json', '--executors', executors, '--password-length', String(PASSWORD_LENGTH)]
    const { code, stdout } = await devnet(...args).ended
    expect(code, log).toBe(0)
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    const job = { miner: expect.stringMatching(/^5\w{47}$/), state: 'finished', reason: null }
    const measured = { seconds: expect.any(Number), score: expect.any(Number) }
    expect(result).toEqual({
      jobs: [1, 2].map(uid => ({ uid, ...job, ...measured })),
      weights: [1, 2].map(uid => ({ uid, weight: expect.any(Number) })),
      block: expect.any(Number),
    })
    for (const { seconds, score } of result.jobs) {
      expect(seconds).toBeGreaterThan(0)
      expect(Math.min(...scoresOf(seconds).map(expected => Math.abs(expected - score)))).toBeLessThan(1e-9)
    }
    expect(Math.max(...result.weights.map(({ weight }: { weight: number }) => weight))).toBe(65535)
    expect(log).toContain('weights set in block')
  })
})

describe('pnpm dev', () => {
  it('runs until Ctrl-C and leaves nothing behind, even in the middle of a job', async () => {
    const { child, ended } = devnet('--password-length', '6')
    await expect.poll(() => log, { timeout: WAIT_MS }).toMatch(/miner-1 .*from=ready to=running/)
    const containers = async () => (await resourcesOfRun()).containers.length
    await expect.poll(containers, { timeout: WAIT_MS }).toBeGreaterThan(0)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 0 })
    expect(log).toMatch(/chain +ws:\/\/127\.0\.0\.1:\d+/)
    expect(log).toMatch(/miner-2 +ws:\/\/127\.0\.0\.2:\d+ +http:\/\/127\.0\.0\.1:\d+\/status/)
    expect(log).toMatch(/miner-1 .*to=broken .*reason=stopped/)
  })

  it('stops and prints the reason when a service ends', async () => {
    const { child, ended } = devnet()
    await expect.poll(() => log, { timeout: WAIT_MS }).toMatch(/folder +\//)
    const miners = await run('pgrep', ['-P', String(child.pid), '-f', 'packages/miner/src/main.ts'])
    process.kill(Number(miners.stdout.split('\n')[0]), 'SIGKILL')
    expect(await ended).toMatchObject({ code: 1 })
    expect(log).toMatch(/miner-[12] ended with signal SIGKILL/)
  })

  it.each([
    [['--miners', '0'], /--miners <n>' argument '0' is invalid. It must be a whole number from 1 to 16/],
    [['--executors', 'magic'], /--executors <kind>' argument 'magic' is invalid. Allowed choices are process, docker/],
    [['--nonsense'], /unknown option '--nonsense'/],
  ])('refuses %j', async (args, message) => {
    expect(await devnet(...args).ended).toEqual({ code: 64, stdout: '' })
    expect(log).toMatch(message)
    expect(log).toContain('--password-length')
  })
})
