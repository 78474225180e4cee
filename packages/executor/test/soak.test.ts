import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SOAK = fileURLToPath(new URL('../../../bench/soak.ts', import.meta.url))

/** Runs `pnpm soak` with options, beside whatever else runs here. */
async function soak(...options: string[]) {
  const child = spawn(process.execPath, [SOAK, '--shared', ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, stdout, stderr }
}

test('a short soak: in a row, at once, and among hostile jobs', { timeout: 240_000 }, async () => {
  const hostile =
    '^(fork bomb|memory hog|filler of /output|ten gigabytes of stdout|ignores every signal|daemons .*|links out .*)$'
  const short = ['--jobs', '6', '--at-once', '8', '--waves', '1', '--hostile', '1', '--only', hostile, '--seed', '3']
  const { code, stdout } = await soak(...short)
  expect(stdout).toMatch(/^seed 3\n/)
  expect(stdout).toMatch(/^in a row +6 /m)
  expect(stdout).toMatch(/^8 at once, wave 1 +8 /m)
  expect(stdout).toMatch(/^hostile, round 1 +14 /m)
  expect(stdout).not.toMatch(/WRONG|LEAKED|wrong:/)
  expect(code).toBe(0)
})

test.each([
  [['--jobs', 'many'], '--jobs must be a whole number'],
  [['--only', '('], '--only must be a regular expression'],
  [['--what'], "Unknown option '--what'"],
])('options that are none: %j', async (options, why) => {
  const { code, stderr } = await soak(...options)
  expect(code).toBe(2)
  expect(stderr).toContain(why)
  expect(stderr).toContain('usage: pnpm soak')
})
