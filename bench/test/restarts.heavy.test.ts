/**
 * Runs a short form of `pnpm restarts`, with miners of both dialects: kills a real validator repeatedly in the middle of
 * its batches.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { LONG_MS } from '@horde/testing/limits'
import { expect, it } from 'vitest'

const RESTARTS = fileURLToPath(new URL('../restarts.ts', import.meta.url))

async function restarts(...options: string[]) {
  const child = spawn(process.execPath, [RESTARTS, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, stdout, stderr }
}

it('loses no result, and counts every batch exactly once', { timeout: LONG_MS }, async () => {
  const short = ['--jobs', '24', '--miners', '4', '--executors', '3', '--kill', '6', '--seed', '7']
  const { code, stdout, stderr } = await restarts(...short)
  expect(stdout).toMatch(/^seed 7\n/)
  expect(stdout, stderr).toMatch(/^problems +0$/m)
  expect(Number(/^kills +(\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(0)
  expect(stdout).toMatch(/^ +v0 +v2026$/m)
  const [, inV0, in2026] = /^jobs +(\d+) +(\d+)$/m.exec(stdout) ?? []
  expect(Number(inV0) + Number(in2026)).toBeGreaterThanOrEqual(24)
  expect(Math.min(Number(inV0), Number(in2026))).toBeGreaterThan(0)
  expect(code).toBe(0)
})

it('explains an invalid command line', { timeout: LONG_MS }, async () => {
  const { code, stdout, stderr } = await restarts('--jobs', 'many')
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/^--jobs must be a whole number from 1 to 100000\nusage: pnpm restarts /)
})
