/** Connected hotkeys that stop being validators: their open jobs finish first. */
import { randomUUID } from 'node:crypto'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { silentLog } from '@horde/kit/log'
import { WAIT_MS } from '@horde/testing/limits'
import { connectExecutor } from '@horde/testing/peers/executor'
import {
  authentication,
  connectValidator,
  dialMiner,
  minerKey,
  secondValidatorKey,
  validatorKey,
} from '@horde/testing/peers/validator'
import { freePort } from '@horde/testing/port'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import { ScriptedManager, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf, workOf } from '../messages.ts'

const ENOUGH_TAO = 5_000
/** The least stake of a validator, by the chain. */
const THRESHOLD_TAO = 1_000
const TOO_FEW_TAO = 999

let stack: AsyncDisposableStack
let port: number
let devchain: Devchain
let miner: TestMiner
const manager = new ScriptedManager()

/** Changes the chain: both validators have this much stake from now on. */
async function startChainWith(tao: number): Promise<Devchain> {
  const neuron = (hotkey: string, stake: number) => ({ hotkey, coldkey: hotkey, stake: `${stake}000000000` })
  const validators = [validatorKey(), secondValidatorKey()].map(({ ss58 }) => neuron(ss58, tao))
  const subnets = [{ netuid: 1, neurons: [...validators, neuron(minerKey().ss58, 0)] }]
  const sudo = hotkeyFromUri('//Alice').ss58
  const genesis = { balances: {}, sudo, subnets, stakeThreshold: `${THRESHOLD_TAO}000000000` }
  return startDevchain({ port, blockMs: 200, genesis })
}

async function restake(tao: number): Promise<void> {
  await devchain[Symbol.asyncDispose]()
  devchain = await startChainWith(tao)
}

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  port = await freePort()
  devchain = await startChainWith(ENOUGH_TAO)
  stack.defer(() => devchain[Symbol.asyncDispose]())
  const backoff = { minMs: 50, maxMs: 200, factor: 2, jitterMs: 10 }
  const chain = stack.use(await connectSubtensor({ endpoints: [devchain.url], log: silentLog, backoff }))
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '2', VALIDATORS_REFRESH_SECONDS: '1' }
  miner = stack.use(await startTestMiner({ chain, chainUrl: devchain.url, manager, env }))
})
afterEach(() => stack.disposeAsync())

it('lets a former validator finish its open jobs, declines new ones, and then closes its connection', async () => {
  const [uuid, another] = [randomUUID(), randomUUID()]
  const busy = await connectValidator(miner)
  const idle = await connectValidator(miner, secondValidatorKey(), ['manifest'])
  await idle.next()
  await busy.send(offerOf(uuid))
  expect(await busy.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
  const executor = await connectExecutor(await manager.order(), manager)
  await executor.next()

  await restake(TOO_FEW_TAO)
  expect(await idle.next(WAIT_MS)).toMatchObject({ details: 'You are no validator of this subnet any more' })
  expect((await idle.closed).code).toBe(1000)
  await busy.send(offerOf(another))
  expect(await busy.next()).toEqual({ message_type: 'V0DeclineJobRequest', job_uuid: another })
  expect(await findJob(miner.db, validatorKey().ss58, another)).toMatchObject({ reason: 'not-a-validator' })

  await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await busy.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
  await busy.send(workOf(uuid))
  await executor.next()
  const output = { docker_process_stdout: 'answer', docker_process_stderr: '' }
  await executor.send({ message_type: 'V0FinishedRequest', job_uuid: uuid as never, ...output })
  expect(await busy.next()).toMatchObject({ message_type: 'V0JobFinishedRequest', docker_process_stdout: 'answer' })
  expect(await busy.next()).toMatchObject({ details: 'You are no validator of this subnet any more' })
  expect((await busy.closed).code).toBe(1000)
  expect((await findJob(miner.db, validatorKey().ss58, uuid))?.deliveredAt).toBeInstanceOf(Date)

  const refused = await dialMiner(miner, validatorKey().ss58)
  expect(await refused.nextUntilClosed()).toMatchObject([{ details: 'Inactive validator' }])
  await restake(ENOUGH_TAO)
  const isServed = async () => {
    await using again = await dialMiner(miner, validatorKey().ss58)
    await again.send(authentication(validatorKey(), {}, ['manifest'])).catch(() => {})
    return (await again.next()).message_type
  }
  await expect.poll(isServed).toBe('V0ExecutorManifestRequest')
})
