/**
 * Runs short forms of `pnpm chaos`, with jobs of both dialects: one with the embedded database, one with Postgres.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { LONG_MS } from '@horde/testing/limits'
import { expect, it } from 'vitest'

const CHAOS = fileURLToPath(new URL('../chaos.ts', import.meta.url))

async function chaos(...options: string[]) {
  const child = spawn(process.execPath, [CHAOS, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, stdout, stderr }
}

it.each([
  ['the embedded database', []],
  ['Postgres', ['--postgres']],
])('with %s loses no job and leaves nothing behind', { timeout: LONG_MS }, async (_name, database) => {
  // With this seed the miner is killed the first time as soon as it serves. Killed more often, it mostly starts.
  const short = ['--jobs', '10', '--executors', '4', '--warm', '2', '--validators', '3', '--kill', '6', '--seed', '7']
  const { code, stdout, stderr } = await chaos(...short, ...database)
  expect(stdout).toMatch(/^seed 7\n/)
  expect(stdout, stderr).toMatch(/^problems +0$/m)
  expect(Number(/^miner killed +(\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(0)
  expect(stdout).toMatch(/^ +v0 +v2026$/m)
  const [, inV0, in2026] = /^jobs accepted +(\d+) +(\d+)$/m.exec(stdout) ?? []
  expect(Number(inV0) + Number(in2026)).toBeGreaterThanOrEqual(10)
  expect(Math.min(Number(inV0), Number(in2026))).toBeGreaterThan(0)
  expect(code).toBe(0)
})

it('explains an invalid command line', { timeout: LONG_MS }, async () => {
  const { code, stdout, stderr } = await chaos('--jobs', 'many')
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/^--jobs must be a whole number from 1 to 100000\nusage: pnpm chaos /)
})
