/** Measures what finding the dialect of a miner adds to its job: it is found in the first message. */
import { job as jobOfV0 } from '@horde/testing/jobs/executor-job'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { type RawConnection, RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Job2026 } from '../v2026/job-2026.ts'

/** Twice the aim, in ms. */
const MOST_MS = 2 * 50
/** How many executors are measured on a busy machine until one is good. */
const MAX_ROUNDS = 10

let miner: RawMiner
let spawner: TestMiner
beforeAll(async () => {
  miner = await RawMiner.start()
  spawner = await TestMiner.start()
})
afterAll(async () => {
  await spawner[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

async function answerMs(connection: RawConnection, message: object): Promise<number> {
  const from = performance.now()
  connection.send(message)
  expect(await connection.receive()).toMatchObject({ message_type: 'GenericError' })
  return performance.now() - from
}

test.each(['v0', 'v2026'] as const)('the first message of %s is answered nearly as soon as the next', async dialect => {
  let added = Number.POSITIVE_INFINITY
  for (let round = 0; round < MAX_ROUNDS && added >= MOST_MS; round += 1) {
    const job = await Job2026.begin(miner, spawner)
    // Work before any offer moves no job.
    const message = dialect === 'v0' ? (await jobOfV0({ script: '' })).work : job.work
    const first = await answerMs(job.connection, message)
    // The yardstick: the same message once the dialect is loaded.
    const next = Math.min(...[await answerMs(job.connection, message), await answerMs(job.connection, message)])
    added = Math.min(added, first - next)
    await job.executor.kill()
  }
  expect(added).toBeLessThan(MOST_MS)
})
