import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { LONG_MS } from '@horde/testing/limits'
import { containersWith, volumesWith } from '@horde/testing/local-engine'
import { expect, test } from 'vitest'
import { parseIdentity } from '../../packages/executor/src/workspace/identity.ts'

const SOAK = fileURLToPath(new URL('../soak.ts', import.meta.url))

/** Runs `pnpm soak` on an engine that other tests use too. */
async function soak(...options: string[]) {
  const child = spawn(process.execPath, [SOAK, '--shared', ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, stdout, stderr }
}

test('finds nothing wrong in a short soak of sequential, concurrent and hostile jobs', {
  timeout: LONG_MS,
}, async () => {
  const hostile =
    '^(fork bomb|memory hog|fills /output|ten gigabytes of stdout|ignores every signal|daemons .*|links out .*)$'
  const short = ['--jobs', '6', '--at-once', '8', '--waves', '1', '--hostile', '1', '--only', hostile, '--seed', '3']
  const { code, stdout } = await soak(...short)
  expect(stdout).toMatch(/^seed 3\n/)
  expect(stdout).toMatch(/^one after the other +6 /m)
  expect(stdout).toMatch(/^8 at once, wave 1 +8 /m)
  expect(stdout).toMatch(/^hostile, round 1 +14 /m)
  expect(stdout).not.toMatch(/WRONG|LEAKED|wrong:/)
  expect(code).toBe(0)
})

/** Yields the label of an executor whenever one of its containers starts. */
async function* startingExecutors(): AsyncGenerator<string> {
  const format = `{{index .Actor.Attributes "${EXECUTOR_LABEL}"}}`
  const filters = ['--filter', 'event=start', '--filter', `label=${EXECUTOR_LABEL}`]
  const events = spawn('docker', ['events', ...filters, '--format', format], { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    yield* createInterface(events.stdout)
  } finally {
    events.kill()
  }
}

function parentOf(pid: number): number {
  return Number(/\) . (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1])
}

test('stops in the middle of its jobs on Ctrl-C, and removes what they made', async () => {
  const child = spawn(process.execPath, [SOAK, '--shared', '--at-once', '4'], { stdio: 'ignore' })
  const closed = once(child, 'close')
  for await (const label of startingExecutors()) {
    const executor = parseIdentity(label)
    if (executor?.kind !== 'process' || !existsSync(`/proc/${executor.pid}`)) continue
    if (parentOf(executor.pid) !== child.pid) continue
    child.kill('SIGINT')
    expect(await closed).toEqual([130, null])
    expect(existsSync(`/proc/${executor.pid}`)).toBe(false)
    const left = [...(await containersWith(EXECUTOR_LABEL)), ...(await volumesWith(EXECUTOR_LABEL))]
    return expect(left.filter(({ labels }) => labels[EXECUTOR_LABEL] === label)).toEqual([])
  }
})

test.each([
  [['--jobs', 'many'], '--jobs must be a whole number'],
  [['--only', '('], '--only must be a regular expression'],
  [['--what'], "Unknown option '--what'"],
])('explains invalid options: %j', async (options, why) => {
  const { code, stderr } = await soak(...options)
  expect(code).toBe(2)
  expect(stderr).toContain(why)
  expect(stderr).toContain('usage: pnpm soak')
})
