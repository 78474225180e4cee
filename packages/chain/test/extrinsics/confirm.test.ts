import { manualClock } from '@horde/kit/time'
import { afterEach, expect, it } from 'vitest'
import { alice, connectTo, NETUID, startNetwork } from '../network.ts'
import { startRelay } from '../relay.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it[Symbol.asyncDispose]()
})
const opened = async <T extends AsyncDisposable>(opening: Promise<T>): Promise<T> => {
  const it = await opening
  open.push(it)
  return it
}

const weights = { netuid: NETUID, uids: [1, 2], weights: [65_535, 1], versionKey: 0 }
/** Requests that another client makes meanwhile, to give the first one time to ask. */
const OTHER_REQUESTS = 50

it('waits for a new block before it asks a busy node again, even after a refusal', async () => {
  const node = await opened(startNetwork())
  const relay = await opened(startRelay(node.url))
  // The clock stands still, so the client continues only at a new block.
  const clock = manualClock()
  const chain = await opened(connectTo([relay.url], { clock, inclusionTimeoutMs: 600_000 }))
  const answers = new Map<number | undefined, { code: number; message: string; data?: string }>()
  let isBusy = false
  let questions = 0
  relay.faults = {
    toNode: frame => {
      if (frame.method === 'author_submitAndWatchExtrinsic') answers.set(frame.id, { code: -32_603, message: 'no' })
      else if (frame.method === 'author_submitExtrinsic') {
        answers.set(frame.id, { code: 1010, message: 'Invalid Transaction', data: 'Custom error: 6' })
        isBusy = true
      } else if (isBusy) {
        answers.set(frame.id, { code: -32_603, message: 'busy' })
        questions += 1
      } else return frame
      return { ...frame, method: 'no_such_method' }
    },
    toClient: frame => {
      const error = answers.get(frame.id)
      return error ? { id: frame.id ?? 0, error } : frame
    },
  }
  const setting = chain.setWeights(weights, alice)
  setting.catch(() => {})
  await expect.poll(() => questions).toBeGreaterThan(0)
  const other = await opened(connectTo([node.url]))
  for (let made = 0; made < OTHER_REQUESTS; made += 1) await other.blockNumber()
  expect(questions).toBe(1)
  isBusy = false
  await node.mineBlock()
  await expect(setting).rejects.toMatchObject({ code: 'SettingWeightsTooFast', mayTakeEffect: true })
})
