import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { startDevchain } from '@horde/devchain/devchain'
import { silentLog } from '@horde/kit/log'
import { freePort } from '@horde/kit/testing/port'
import { manualClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { ValidatorList } from '../src/validators.ts'
import { minerKey, secondValidatorKey, strangerKey, validatorKey } from './harness.ts'

const NETUID = 1
const neuron = (hotkey: string, tao: number) => ({ hotkey, coldkey: hotkey, stake: `${tao}000000000` })

async function startChain(neurons: ReturnType<typeof neuron>[], port = 0) {
  const subnets = [{ netuid: NETUID, neurons }]
  const genesis = { balances: {}, sudo: hotkeyFromUri('//Alice').ss58, subnets }
  return startDevchain({ port, blockMs: 'per-extrinsic', genesis })
}

it('the last good list stays through an outage of the chain, and says how old it is', async () => {
  const devchain = await startChain([neuron(validatorKey().ss58, 5000), neuron(strangerKey().ss58, 999)])
  await using chain = await connectSubtensor({ endpoints: [devchain.url], log: silentLog, outageWaitMs: 50 })
  const clock = manualClock()
  const extra = [secondValidatorKey().ss58]
  const list = new ValidatorList({ chain, netuid: NETUID, extra, banned: [], clock, log: silentLog })
  const known = () => [validatorKey(), secondValidatorKey(), strangerKey()].map(({ ss58 }) => list.has(ss58))

  expect(list.ageMs()).toBeUndefined()
  expect(known(), "the operator's own need no chain").toEqual([false, true, false])
  await list.refresh()
  expect(known()).toEqual([true, true, false])
  await devchain[Symbol.asyncDispose]()
  await clock.advance(90_000)
  await expect(list.refresh()).rejects.toMatchObject({ code: 'Unavailable' })
  expect(known()).toEqual([true, true, false])
  expect(list.ageMs()).toBe(90_000)
})

it('a node that knows nobody does not empty the list', async () => {
  const port = await freePort()
  const full = await startChain([neuron(validatorKey().ss58, 5000)], port)
  const backoff = { minMs: 20, maxMs: 100, factor: 2, jitterMs: 10 }
  await using chain = await connectSubtensor({ endpoints: [full.url], log: silentLog, backoff })
  const clock = manualClock()
  const list = new ValidatorList({ chain, netuid: NETUID, extra: [], banned: [], clock, log: silentLog })
  await list.refresh()
  await full[Symbol.asyncDispose]()
  await using _ = await startChain([], port)
  await clock.advance(5_000)
  const outcome = () => list.refresh().then(String, (error: Error) => error.message)
  await expect.poll(outcome).toMatch(/names no neuron on subnet 1/)
  expect(list.has(validatorKey().ss58)).toBe(true)
  expect(list.ageMs()).toBe(5_000)
})

it('says who is a validator, who is known but none now, and who is neither', async () => {
  const [rich, poor] = [hotkeyFromUri('//rich').ss58, hotkeyFromUri('//poor').ss58]
  const neurons = [neuron(validatorKey().ss58, 5000), neuron(minerKey().ss58, 0), neuron(rich, 9000), neuron(poor, 1)]
  await using devchain = await startChain(neurons)
  await using chain = await connectSubtensor({ endpoints: [devchain.url], log: silentLog })
  const banned = [rich, secondValidatorKey().ss58]
  const extra = [poor, secondValidatorKey().ss58]
  const list = new ValidatorList({ chain, netuid: NETUID, extra, banned, clock: manualClock(), log: silentLog })
  await list.refresh()
  const keys = [validatorKey().ss58, poor, minerKey().ss58, rich, secondValidatorKey().ss58, strangerKey().ss58]
  expect(keys.map(key => list.standingOf(key))).toEqual([
    'active',
    'active',
    'inactive',
    'unknown',
    'unknown',
    'unknown',
  ])
})
