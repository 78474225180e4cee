import { type Metagraph, RAO_PER_TAO } from '@horde/chain/metagraph'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { startDevchain } from '@horde/devchain/devchain'
import { createLog, silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { minerKey, secondValidatorKey, unknownKey, validatorKey } from '@horde/testing/peers/validator'
import { freePort } from '@horde/testing/port'
import { describe, expect, it } from 'vitest'
import { ValidatorList } from '../../src/validators/validator-list.ts'

const NETUID = 1
const neuron = (hotkey: string, tao: number) => ({ hotkey, coldkey: hotkey, stake: `${tao}000000000` })

async function startChain(neurons: ReturnType<typeof neuron>[], port = 0, stakeThreshold = 1_000) {
  const subnets = [{ netuid: NETUID, neurons }]
  const stake = { stakeThreshold: `${stakeThreshold}000000000` }
  const genesis = { balances: {}, sudo: hotkeyFromUri('//Alice').ss58, subnets, ...stake }
  return startDevchain({ port, blockMs: 'per-extrinsic', genesis })
}

it('keeps the last good list through an outage of the chain, and knows its age', async () => {
  const devchain = await startChain([neuron(validatorKey().ss58, 5000), neuron(unknownKey().ss58, 999)])
  await using chain = await connectSubtensor({ endpoints: [devchain.url], log: silentLog, outageWaitMs: 50 })
  const clock = manualClock()
  const extra = [secondValidatorKey().ss58]
  const list = new ValidatorList({ chain, netuid: NETUID, extra, banned: [], clock, log: silentLog })
  const known = () => [validatorKey(), secondValidatorKey(), unknownKey()].map(({ ss58 }) => list.has(ss58))

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

it('keeps the list when a node names no neuron', async () => {
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

it('distinguishes validators, inactive hotkeys and unknown ones', async () => {
  const [rich, poor] = [hotkeyFromUri('//rich').ss58, hotkeyFromUri('//poor').ss58]
  const neurons = [neuron(validatorKey().ss58, 5000), neuron(minerKey().ss58, 0), neuron(rich, 9000), neuron(poor, 1)]
  await using devchain = await startChain(neurons)
  await using chain = await connectSubtensor({ endpoints: [devchain.url], log: silentLog })
  const banned = [rich, secondValidatorKey().ss58]
  const extra = [poor, secondValidatorKey().ss58]
  const list = new ValidatorList({ chain, netuid: NETUID, extra, banned, clock: manualClock(), log: silentLog })
  await list.refresh()
  const keys = [validatorKey().ss58, poor, minerKey().ss58, rich, secondValidatorKey().ss58, unknownKey().ss58]
  expect(keys.map(key => list.eligibilityOf(key))).toEqual([
    'active',
    'active',
    'inactive',
    'unknown',
    'unknown',
    'unknown',
  ])
})

it('serves as many validators as the chain gives permits to, from the stake threshold on', async () => {
  const thirty = Array.from({ length: 30 }, (_, i) => hotkeyFromUri(`//crowd//${i}`).ss58)
  const neurons = thirty.map((hotkey, i) => neuron(hotkey, 10 + i))
  await using devchain = await startChain([...neurons, neuron(unknownKey().ss58, 9)], 0, 10)
  await using chain = await connectSubtensor({ endpoints: [devchain.url], log: silentLog })
  const list = new ValidatorList({
    ...{ chain, netuid: NETUID, extra: [], banned: [], clock: manualClock(), log: silentLog },
  })
  await list.refresh()
  expect(thirty.filter(hotkey => list.has(hotkey))).toHaveLength(30)
  expect(list.has(unknownKey().ss58)).toBe(false)
})

describe('an answer that lacks more than half of the validators', () => {
  const NAMES = ['a', 'b', 'c', 'd'].map(name => hotkeyFromUri(`//${name}`).ss58)

  /** The list after each answer of the chain, which gives this many of the four hotkeys a permit; and its warnings. */
  async function listAfter(permits: number[], known = NAMES.length, extra: string[] = []) {
    const lines: Record<string, unknown>[] = []
    const log = createLog('miner', { destination: { write: line => void lines.push(JSON.parse(line)) } })
    const answers = permits.map(count => metagraphOf(NAMES.slice(0, known), count))
    const chain = { metagraph: async () => answers.shift() as Metagraph }
    const list = new ValidatorList({ chain, netuid: NETUID, extra, banned: [], clock: manualClock(), log })
    const served: number[] = []
    for (const _ of permits) {
      await list.refresh()
      served.push(NAMES.filter(name => list.has(name)).length)
    }
    return { served, warnings: lines.filter(({ level }) => level === 'warn').map(({ lost }) => lost) }
  }

  function metagraphOf(hotkeys: string[], permits: number): Metagraph {
    const neurons = hotkeys.map((hotkey, uid) => ({
      ...{ uid, hotkey, coldkey: hotkey, stakeRao: 5_000n * RAO_PER_TAO, validatorPermit: uid < permits },
      ...{ lastUpdate: 0, axon: null },
    }))
    return { netuid: NETUID, block: 1, neurons }
  }

  it.each([
    ['is believed at the second reading', [4, 0, 0], [4, 4, 0], [4, 4]],
    ['counts for nothing when the next one is whole', [4, 1, 4, 1], [4, 4, 4, 4], [3, 3]],
    ['differs from one that lacks half, which is believed at once', [4, 2, 2], [4, 2, 2], []],
    ['is a first one again after one that was believed', [4, 0, 0, 4, 0], [4, 4, 0, 4, 4], [4, 4, 4]],
  ])('%s', async (_, permits, served, warnings) => {
    expect(await listAfter(permits)).toEqual({ served, warnings })
  })

  it('may be one that lacks the only validator', async () => {
    expect(await listAfter([1, 0, 0], 1)).toEqual({ served: [1, 1, 0], warnings: [1, 1] })
  })

  it("leaves the operator's own validators alone", async () => {
    const extra = [NAMES[3] as string]
    expect((await listAfter([4, 0, 0], NAMES.length, extra)).served).toEqual([4, 4, 1])
  })
})
