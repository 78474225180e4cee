/** A miner that has just started, before the chain has named the validators. */
import { randomUUID } from 'node:crypto'
import type { Chain } from '@horde/chain/chain'
import { authentication, connectValidator, dialMiner, unknownKey, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'

let stack: AsyncDisposableStack
let network: Awaited<ReturnType<typeof startChain>>

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
})
afterAll(() => stack.disposeAsync())

/** The chain, except that it names its neurons only once `answer` resolves. */
function slowChain(answer: Promise<void>): Chain {
  return new Proxy(network.chain, {
    get(chain, name) {
      if (name === 'metagraph') return (netuid: number) => answer.then(() => chain.metagraph(netuid))
      const value = Reflect.get(chain, name)
      return typeof value === 'function' ? value.bind(chain) : value
    },
  })
}

/** A migrating miner, since the harness does not wait until that is ready, which needs a list. */
function start(chain: Chain, env: Record<string, string> = {}): Promise<TestMiner> {
  const base = { EXECUTOR_CLASS: 'always_on.test', MIGRATING: 'true' }
  return startTestMiner({ chain, chainUrl: network.url, manager: new ScriptedManager(), env: { ...base, ...env } })
}

it('lets peers wait for the chain, then serves validators and refuses others', async () => {
  const answer = Promise.withResolvers<void>()
  await using miner = await start(slowChain(answer.promise))
  const validator = await connectValidator(miner)
  const job_uuid = randomUUID() as never
  await validator.send({
    ...{ message_type: 'V0InitialJobRequest', job_uuid, base_docker_image_name: null },
    ...{ timeout_seconds: 5, volume_type: 'inline' },
  })
  const unknown = await connectValidator(miner, unknownKey())
  answer.resolve()
  expect(await validator.next()).toEqual({ message_type: 'V0DeclineJobRequest', job_uuid })
  expect(await unknown.nextUntilClosed()).toMatchObject([{ details: `Unknown validator: ${unknownKey().ss58}` }])
  await validator.close()
})

it('closes with "try again later" and no error while the chain does not answer', async () => {
  await using miner = await start(slowChain(new Promise(() => {})), { AUTHENTICATE_SECONDS: '1' })
  const validator = await connectValidator(miner, validatorKey())
  expect(await validator.nextUntilClosed()).toEqual([])
  expect((await validator.closed).code).toBe(1013)
})

it('closes with "try again later" on a signature from before its start', async () => {
  await using miner = await start(network.chain)
  const peer = await dialMiner(miner, validatorKey().ss58)
  await peer.send(authentication(validatorKey(), { timestamp: Math.floor(Date.now() / 1000) - 5 }))
  expect(await peer.nextUntilClosed()).toEqual([])
  expect((await peer.closed).code).toBe(1013)
  await using again = await connectValidator(miner, validatorKey(), ['manifest'])
  expect(await again.next()).toMatchObject({ message_type: 'V0ExecutorManifestRequest' })
})
