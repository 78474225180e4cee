import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Twice the goals, because the machine may be busy. bench/ measures the exact values. */
const MOST_BARE_STARTS = 10
const MOST_RESIDENT_MIB = 180
const ROUNDS = 7
const KIB_PER_MIB = 1024

const LIST_LOADED = fileURLToPath(new URL('list-loaded.mjs', import.meta.url))

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
  // The first start after a change compiles. Later ones use the cache.
  await connected()
})
afterAll(() => miner[Symbol.asyncDispose]())

/** Starts an executor and dismisses it. Returns the ms from start to connected. */
async function connected(): Promise<number> {
  const started = performance.now()
  const executor = miner.spawn()
  const connection = await executor.connection()
  const ms = performance.now() - started
  await connection.close(1000)
  expect(await executor.exit()).toBe(0)
  return ms
}

async function bareStart(): Promise<number> {
  const started = performance.now()
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit')
  return performance.now() - started
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

test('connects within a few start-up times of a bare node', async () => {
  const [bare, executor]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    bare.push(await bareStart())
    executor.push(await connected())
  }
  expect(median(executor) / median(bare)).toBeLessThan(MOST_BARE_STARTS)
})

test('holds little memory while it waits for its offer', async () => {
  const executor = miner.spawn()
  await executor.connection()
  const status = await readFile(`/proc/${executor.process.pid}/status`, 'utf8')
  const mib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / KIB_PER_MIB
  expect(mib).toBeGreaterThan(0)
  expect(mib).toBeLessThan(MOST_RESIDENT_MIB)
})

test('has not loaded what only a job needs while it waits for its offer', async () => {
  const executor = miner.spawn({ NODE_OPTIONS: `--import=${LIST_LOADED}` })
  const connection = await executor.connection()
  await connection.close(1000)
  expect(await executor.exit()).toBe(0)
  const loaded = /^loaded (.*)$/m.exec(executor.log)?.[1]?.split(' ') ?? []
  expect(loaded).toEqual(expect.arrayContaining(['@horde/executor', '@horde/kit', 'ws', 'zod']))
  const heavy = [
    '@horde/protocol/v0/miner-executor',
    '@horde/protocol/v2026/miner-executor',
    '@huggingface/hub',
    '@napi-rs/lzma',
    'seek-bzip',
    'dockerode',
    'tar-stream',
    'yauzl',
    'yazl',
    'fastify',
    'prom-client',
    'pg',
    'drizzle-orm',
  ]
  expect(loaded.filter(name => heavy.includes(name))).toEqual([])
  expect(executor.log).toContain('type stripper: false')
})
