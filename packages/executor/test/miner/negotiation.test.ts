/** Our executor with miners of every year, with confused ones, and with hostile ones. */
import { job as jobOfV0 } from '@horde/testing/jobs/executor-job'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Job2026 } from '../v2026/job-2026.ts'

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

/** The messages of one job in both dialects. */
interface Messages {
  v0: { offer: object; work: object }
  v2026: { offer: object; work: object }
}

/** Sends a message, or expects one: its type, and its fields beside `job_uuid`. */
type Step = { says: object } | { hears: string; with?: object }

const SCRIPT = 'print("done")'
const PRINTED = { docker_process_stdout: 'done\n', docker_process_stderr: '' }
const says = (message: object): Step => ({ says: message })
const hears = (type: string, fields: object = {}): Step => ({ hears: type, with: fields })
const UNKNOWN = { hears: 'GenericError', with: { details: 'message_type is missing or not one of this link' } }
const READY_IN_V0 = hears('V0ReadyRequest')
const END_IN_V0 = hears('V0FinishedRequest', PRINTED)
const READY_IN_2026 = hears('V0ExecutorReadyRequest', { executor_token: null })
const END_IN_2026 = [
  ...[hears('V0VolumesReadyRequest'), hears('V0ExecutionDoneRequest')],
  hears('V0JobFinishedRequest', { ...PRINTED, artifacts: {}, upload_results: {} }),
]

const jobIn2026 = ({ offer, work }: Messages['v2026']): Step[] => {
  return [says(offer), READY_IN_2026, says(work), ...END_IN_2026]
}

const MINERS: [miner: string, script: (messages: Messages) => Step[]][] = [
  ['of 2024', ({ v0 }) => [says(v0.offer), READY_IN_V0, says(v0.work), END_IN_V0]],
  [
    'of ours before v2026, and of ours with a job of v0',
    ({ v0 }) => [says({ ...v0.offer, capabilities: ['large-frames'] }), READY_IN_V0, says(v0.work), END_IN_V0],
  ],
  ['of 2026, and of ours with a job of v2026', ({ v2026 }) => jobIn2026(v2026)],
  [
    'of October 2026 that passes signatures on',
    ({ v2026: { offer, work } }) => {
      const signature = { validator_signature: `0x${'1'.repeat(128)}` }
      return jobIn2026({ offer: { ...signature, ...offer }, work: { ...signature, ...work } })
    },
  ],
  [
    'that sends both offers, that of v0 first',
    ({ v0, v2026 }) => [...[says(v0.offer), says(v2026.offer), UNKNOWN, READY_IN_V0], ...[says(v0.work), END_IN_V0]],
  ],
  [
    'that sends both offers, that of v2026 first',
    ({ v0, v2026 }) => [
      ...[says(v2026.offer), says(v0.offer), UNKNOWN, READY_IN_2026],
      ...[says(v2026.work), ...END_IN_2026],
    ],
  ],
  [
    'that offers in a dialect of its own first',
    ({ v0, v2026 }) => [says({ ...v0.offer, message_type: 'V9OfferRequest' }), UNKNOWN, ...jobIn2026(v2026)],
  ],
  [
    'of v0 whose work comes in v2026 first',
    ({ v0, v2026 }) => [says(v0.offer), READY_IN_V0, says(v2026.work), UNKNOWN, says(v0.work), END_IN_V0],
  ],
  [
    'of v2026 whose work comes in v0 first',
    ({ v0, v2026 }) => [
      ...[says(v2026.offer), READY_IN_2026, says(v0.work), UNKNOWN],
      ...[says(v2026.work), ...END_IN_2026],
    ],
  ],
]

/** Errors may be heard before or behind the message that they came with. */
const order = (messages: { message_type?: unknown }[]) =>
  messages.toSorted((a, b) => Number(b.message_type === 'GenericError') - Number(a.message_type === 'GenericError'))

describe.each(MINERS)('a miner %s', (_, script) => {
  test('gets its job done in its dialect, and sees no other message', async () => {
    const job = await Job2026.begin(miner, spawner, { script: SCRIPT })
    const { job_uuid, connection } = job
    const v0 = await jobOfV0({ script: SCRIPT })
    const ofV0 = { offer: { ...v0.offer, job_uuid }, work: { ...v0.work, job_uuid } }
    const steps = script({ v0: ofV0, v2026: { offer: job.offer, work: job.work } })
    while (steps.length > 0) {
      const next = steps.shift()
      if (next && 'says' in next) connection.send(next.says)
      if (!next || 'says' in next) continue
      const expected = [next]
      for (let step = steps[0]; step && 'hears' in step; step = steps[0]) {
        expected.push(step)
        steps.shift()
      }
      const heard: { message_type?: unknown }[] = []
      for (const _ of expected) heard.push((await connection.receive()) as object)
      expect(order(heard), job.executor.log).toEqual(
        expected.map(({ hears: message_type, with: fields }) => {
          return { message_type, ...(message_type === 'GenericError' ? {} : { job_uuid }), ...fields }
        }),
      )
    }
    await job.expectEnd()
  })
})

describe('a hostile miner', () => {
  test.each([
    ['that refuses the executor first', { message_type: 'GenericError', details: 'no' }],
    ['that says nothing', undefined],
  ])('%s is left', async (_, message) => {
    const job = await Job2026.begin(miner, spawner, { startupSeconds: 1 })
    if (message) job.connection.send(message)
    expect(await job.executor.exit()).not.toBe(0)
  })
})
