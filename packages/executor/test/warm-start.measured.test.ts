/** How soon an executor that prepared ahead of its offer is ready. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expectNothingLeft, job, PYTHON } from '@horde/testing/jobs/executor-job'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ready, warmed } from './warm.ts'

/** Twice the aim, for a machine that does other things as well. bench/ measures what it is. */
const MOST_DOCKER_RUNS = 0.3
const ROUNDS = 5

const docker = (...args: string[]) => promisify(execFile)('docker', args)

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
})
afterAll(() => miner[Symbol.asyncDispose]())

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

test('is ready in a fraction of what a plain docker run takes', async () => {
  const [plain, prepare]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    const [warm, wanted] = [await warmed(miner), await job({ image: PYTHON })]
    plain.push(await timed(() => docker('run', '--rm', '--network', 'none', PYTHON, 'true')))
    prepare.push(await timed(() => ready(warm, wanted)))
    warm.executor.process.kill('SIGTERM')
    await warm.executor.exit()
    await expectNothingLeft(wanted, warm.executor)
  }
  expect(median(prepare) / median(plain)).toBeLessThan(MOST_DOCKER_RUNS)
})
