import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { machine, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { holderOptions, holderProgram } from './holder.ts'

/** Long enough for a program that ends by itself to do so, in ms. */
const WATCHED_MS = 300

test('builds a program that runs until it is killed, on the machine of this test', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holder-test-'))
  const path = join(folder, 'hold')
  await writeFile(path, holderProgram(machine()), { mode: 0o755 })
  const program = spawn(path, { stdio: 'ignore' })
  const ended = once(program, 'exit')
  expect(await Promise.race([ended, setTimeout(WATCHED_MS, 'runs on')])).toBe('runs on')
  program.kill('SIGKILL')
  expect(await ended).toEqual([null, 'SIGKILL'])
  await rm(folder, { recursive: true })
})

test.each([
  ['x86_64', 62],
  ['aarch64', 183],
])('builds one static program for %s', (name, number) => {
  const program = holderProgram(name)
  expect(program.subarray(0, 4).toString('latin1')).toBe('\x7fELF')
  expect(program.readUInt16LE(18)).toBe(number)
  // What is loaded is the whole file, and the entry lies in it.
  expect(program.readBigUInt64LE(64 + 32)).toBe(BigInt(program.length))
  expect(program.readBigUInt64LE(24) - program.readBigUInt64LE(64 + 16)).toBe(120n)
})

test('refuses any other machine', () => {
  expect(() => holderProgram('riscv64')).toThrow(
    "the engine's machine is riscv64; the executor knows x86_64 and aarch64",
  )
})

test.each([
  [false, 'host'],
  [true, 'none'],
])('uses the network mode that the engine needs (own network: %s): %s', (ownNetwork, mode) => {
  const { HostConfig, User } = holderOptions([{ volume: 'a', path: '/a' }], {}, ownNetwork)
  expect(User).toBe('65534:65534')
  expect(HostConfig).toMatchObject({
    NetworkMode: mode,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    Mounts: [{ Source: 'a', Target: '/a', ReadOnly: false }],
  })
})
