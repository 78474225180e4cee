/** Frames of every size and kind, from validators who may send them, and what is said to those who take less. */
import { randomUUID } from 'node:crypto'
import { LARGE_FRAME_BYTES, SMALL_FRAME_BYTES } from '@horde/protocol/frame'
import type { V0JobRequest } from '@horde/protocol/validator-miner'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findJob } from '../src/db/jobs.ts'
import {
  connectExecutor,
  connectValidator,
  PlayedManager,
  startChain,
  startTestMiner,
  type TestMiner,
  validatorKey,
} from './harness.ts'
import { offerOf, workOf } from './words.ts'

let stack: AsyncDisposableStack
let miner: TestMiner
const manager = new PlayedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env: { EXECUTOR_CLASS: 'always_on.test' } }))
})
afterAll(() => stack.disposeAsync())

/** Work whose frame is exactly so long. */
function workOfBytes(uuid: string, bytes: number): V0JobRequest {
  const work = (contents: string) => workOf(uuid, { volume: { volume_type: 'inline', contents } })
  return work('A'.repeat(bytes - Buffer.byteLength(JSON.stringify(work('')))))
}

it('work of 50 MiB reaches the executor; one byte more closes the connection, and the job goes on', async () => {
  const uuid = randomUUID()
  const validator = await connectValidator(miner)
  await validator.say(offerOf(uuid))
  await validator.next()
  const executor = await connectExecutor(await manager.order(), manager)
  await executor.next()
  await executor.say({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  await validator.next()
  await validator.say(workOfBytes(uuid, LARGE_FRAME_BYTES + 1)).catch(() => {})
  expect((await validator.closed).code).toBe(1009)
  expect(await findJob(miner.db, validatorKey().ss58, uuid)).toMatchObject({ state: 'ready' })

  await using again = await connectValidator(miner)
  expect(await again.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
  const work = workOfBytes(uuid, LARGE_FRAME_BYTES)
  await again.say(work)
  expect(await executor.next()).toEqual({ ...work, message_type: 'V0RunJobRequest' })
  const output = { docker_process_stdout: 'x', docker_process_stderr: '' }
  await executor.say({ message_type: 'V0FinishedRequest', job_uuid: uuid as never, ...output })
  expect(await again.next()).toMatchObject({ message_type: 'V0JobFinishedRequest' })
})

it.each([[undefined], [['large-frames', 'manifest']]])(
  'whatever is said to a peer of %j is short',
  async capabilities => {
    await using validator = await connectValidator(miner, validatorKey(), capabilities)
    if (capabilities) {
      const manifest = await validator.next()
      expect(manifest).toMatchObject({ message_type: 'V0ExecutorManifestRequest' })
      expect(JSON.stringify(manifest).length).toBeLessThan(SMALL_FRAME_BYTES)
    }
    const long = 'x'.repeat(2_000_000)
    const manyMistakes = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, index) => [`${long.slice(0, 20)}${index}`, {}]),
    )
    const nonsense: object[] = [
      { message_type: long },
      { message_type: 'V0InitialJobRequest', job_uuid: long, volume_type: long },
      {
        ...workOfBytes(randomUUID(), 1_000),
        output_upload: { output_upload_type: long, url: 1, form_fields: manyMistakes },
      },
      { ...workOfBytes(randomUUID(), 1_000), docker_run_cmd: Array(100_000).fill({}), [long]: long },
      Array(1_000_000).fill(0),
    ]
    for (const frame of nonsense) {
      await validator.say(frame as never)
      const answer = await validator.next()
      expect(answer).toMatchObject({ message_type: 'GenericError' })
      expect(JSON.stringify(answer).length).toBeLessThan(10_000)
    }
  },
)
