import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { startDevchain } from '@horde/devchain/devchain'
import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { ValidatorList } from '../src/validators.ts'
import { secondValidatorKey, strangerKey, validatorKey } from './harness.ts'

it('the last good list stays through an outage of the chain, and says how old it is', async () => {
  const neuron = (hotkey: string, tao: number) => ({ hotkey, coldkey: hotkey, stake: `${tao}000000000` })
  const neurons = [neuron(validatorKey().ss58, 5000), neuron(strangerKey().ss58, 999)]
  const genesis = { balances: {}, sudo: hotkeyFromUri('//Alice').ss58, subnets: [{ netuid: 1, neurons }] }
  const devchain = await startDevchain({ blockMs: 'per-extrinsic', genesis })
  await using chain = await connectSubtensor({ endpoints: [devchain.url], log: silentLog, outageWaitMs: 50 })
  const clock = manualClock()
  const extra = [secondValidatorKey().ss58]
  const list = new ValidatorList({ chain, netuid: 1, extra, banned: [], clock, log: silentLog })
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
