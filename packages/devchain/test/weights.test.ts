import { describe, expect, test } from 'vitest'
import {
  account,
  cold,
  custom,
  genesis,
  miner,
  NETUID,
  type Net,
  second,
  startNet,
  stranger,
  TAO,
  validator,
} from './client.ts'

async function rowOf(net: Net, uid: number): Promise<[number, number][]> {
  return (await net.read('subtensorModule.weights', NETUID, uid)) as [number, number][]
}

const set = (net: Net, uids: number[], values: number[], versionKey = 0, netuid = NETUID) =>
  net.call('subtensorModule.setWeights', netuid, uids, values, versionKey)

describe('set_weights', () => {
  test('replaces the row in the order sent, and updates its last update', async () => {
    await using net = await startNet()
    await net.mine(4)
    const first = await net.include(set(net, [2, 0], [1, 3]), validator)
    expect(first).toMatchObject({ error: null })
    expect(first.events).toEqual(['subtensorModule.WeightsSet', 'system.ExtrinsicSuccess'])
    expect(await rowOf(net, 0)).toEqual([
      [2, 21845],
      [0, 65535],
    ])
    expect(await net.read('subtensorModule.lastUpdate', NETUID)).toEqual([5, 0, 0])
    await net.include(set(net, [1], [9]), validator)
    expect(await rowOf(net, 0)).toEqual([[1, 65535]])
  })

  test('is free, also for a hotkey without a balance', async () => {
    await using net = await startNet()
    expect(await net.read('system.account', validator.address)).toMatchObject({ nonce: 0, data: { free: 0 } })
    expect(await net.include(set(net, [2], [1]), validator)).toMatchObject({ error: null })
    expect(await net.read('system.account', validator.address)).toMatchObject({
      nonce: 1,
      providers: 0,
      data: { free: 0 },
    })
  })

  test('is refused for each reason, in the order of the checks', async () => {
    await using net = await startNet(
      genesis({
        hyperparameters: {
          WeightsVersionKey: 7,
          MinAllowedWeights: 2,
          MaxWeightsLimit: 40_000,
          WeightsSetRateLimit: 5,
        },
      }),
    )
    const tooLong = [0, 1, 2, 3]
    const refusals: [string, Parameters<Net['include']>][] = [
      // Each case is wrong in its own way, and in all ways that are checked later.
      ['CanNotSetRootNetworkWeights', [set(net, [0, 0], [1], 0, 0), stranger]],
      ['WeightVecNotEqualSize', [set(net, [9, 9, 9, 9], [1], 0, 9), stranger]],
      ['SubnetNotExists', [set(net, [9, 9, 9, 9], [1, 1, 1, 1], 0, 9), stranger]],
      ['UidsLengthExceedUidsInSubNet', [set(net, tooLong, [1, 1, 1, 1]), stranger]],
      ['HotKeyNotRegisteredInSubNet', [set(net, [9], [1]), stranger]],
      ['IncorrectWeightVersionKey', [set(net, [9, 9], [1, 1], 6), miner]],
      ['NeuronNoValidatorPermit', [set(net, [9, 9], [1, 1], 7), miner]],
      ['DuplicateUids', [set(net, [9, 9], [1, 1], 7), validator]],
      ['UidVecContainInvalidOne', [set(net, [3], [1], 7), validator]],
      ['WeightVecLengthIsLow', [set(net, [1], [1], 7), validator]],
      ['WeightVecLengthIsLow', [set(net, [], [], 7), validator]],
      ['MaxWeightExceeded', [set(net, [1, 2], [9, 1], 7), validator]],
    ]
    for (const [error, sent] of refusals) {
      const result = await net.include(...sent)
      expect(result, error).toMatchObject({ error })
      expect(result.events.at(-1)).toBe('system.ExtrinsicFailed')
    }
    expect(await rowOf(net, 0)).toEqual([])
    expect(await net.include(set(net, [1, 2], [6, 5], 8), validator)).toMatchObject({ error: null })
    expect(await net.refusal(set(net, [1, 2], [6, 5], 8), validator)).toEqual(custom(6))
  })

  test('needs stake, which the pool checks first', async () => {
    await using net = await startNet(genesis({}, { stakeThreshold: Number(3000n * TAO) }))
    expect(await net.refusal(set(net, [9, 9], [1], 0), second)).toEqual(custom(1))
    expect(await net.refusal(set(net, [0], [1]), stranger)).toEqual(custom(1))
    expect(await net.include(set(net, [2], [1]), validator)).toMatchObject({ error: null })
    // The pool does not check calls inside a batch, so the pallet refuses it. The batch itself has a fee.
    await net.include(net.call('balances.transferKeepAlive', second.address, TAO), cold)
    expect(await net.include(net.call('utility.batchAll', [set(net, [0], [1])]), second)).toMatchObject({
      error: 'NotEnoughStakeToSetWeights',
    })
  })

  test('is refused first of all while commit-reveal is on', async () => {
    await using net = await startNet(genesis({ hyperparameters: { CommitRevealWeightsEnabled: true } }))
    expect(await net.include(set(net, [9, 9], [1]), stranger)).toMatchObject({ error: 'CommitRevealEnabled' })
  })

  test('lets a neuron without a permit weigh only itself, whatever the limits are', async () => {
    await using net = await startNet(genesis({ hyperparameters: { MinAllowedWeights: 3, MaxWeightsLimit: 10_000 } }))
    expect(await net.include(set(net, [2], [7]), miner)).toMatchObject({ error: null })
    expect(await rowOf(net, 2)).toEqual([[2, 65535]])
    expect(await net.include(set(net, [1], [7]), miner)).toMatchObject({ error: 'NeuronNoValidatorPermit' })
    expect(await net.include(set(net, [1, 2], [7, 7]), validator)).toMatchObject({ error: 'WeightVecLengthIsLow' })
  })

  test('lets the subnet owner set weights without stake, and be weighed alone', async () => {
    const owner = { coldkey: cold.address, hotkey: miner.address }
    await using net = await startNet(genesis({ owner }, { stakeThreshold: Number(9000n * TAO) }))
    expect(await net.include(set(net, [2], [1]), miner)).toMatchObject({ error: null })
    await net.sudo(net.call('adminUtils.sudoSetStakeThreshold', 0))
    await net.sudo(net.call('adminUtils.sudoSetMaxAllowedValidators', NETUID, 1))
    await net.mine(100)
    expect(await net.read('subtensorModule.validatorPermit', NETUID)).toEqual([true, false, false])
    expect(await net.include(set(net, [2], [1]), second)).toMatchObject({ error: null })
    expect(await net.include(set(net, [0], [1]), second)).toMatchObject({ error: 'NeuronNoValidatorPermit' })
  })

  test.each([
    [
      [1, 2, 3],
      [21845, 43690, 65535],
    ],
    [
      [40000, 20000],
      [65535, 32767],
    ],
    [
      [33000, 1, 16500],
      [65535, 2, 32767],
    ],
    [
      [65535, 1],
      [65535, 1],
    ],
    [
      [0, 0],
      [0, 0],
    ],
    [
      [0, 5],
      [0, 65535],
    ],
  ])('scales %j to %j', async (values, stored) => {
    await using net = await startNet()
    const uids = values.map((_, uid) => uid)
    expect(await net.include(set(net, uids, values), validator)).toMatchObject({ error: null })
    expect(await rowOf(net, 0)).toEqual(uids.map(uid => [uid, stored[uid]]))
  })

  test('must wait for the rate limit, counted to its own block', async () => {
    await using net = await startNet(genesis({ hyperparameters: { WeightsSetRateLimit: 5 } }))
    await net.mine(48)
    await net.include(set(net, [1], [1]), validator)
    expect(net.chain.blockNumber()).toBe(49)
    await net.include(net.call('balances.transferKeepAlive', validator.address, TAO), cold)
    const hidden = net.call('utility.batchAll', [set(net, [1], [1])])
    expect(await net.include(hidden, validator)).toMatchObject({ error: 'SettingWeightsTooFast' })
    for (const next of [52, 53]) {
      expect(await net.refusal(set(net, [1], [1]), validator), `in block ${next}`).toEqual(custom(6))
      await net.mine(1)
    }
    expect(await net.include(set(net, [1], [1]), validator)).toMatchObject({ error: null })
    expect(net.chain.blockNumber()).toBe(54)
  })

  test('drops the second of two as invalid once the first is in a block', async () => {
    await using net = await startNet(genesis({ hyperparameters: { WeightsSetRateLimit: 5 } }), { blockMs: 3_600_000 })
    const statuses: string[] = []
    const ended = Promise.withResolvers<void>()
    await set(net, [1], [1]).signAndSend(validator, { nonce: 0 })
    await set(net, [2], [1]).signAndSend(validator, { nonce: 1 }, ({ status }) => {
      statuses.push(status.type)
      if (status.isInvalid) ended.resolve()
    })
    await net.mine(1)
    await ended.promise
    expect(statuses).toEqual(['Ready', 'Invalid'])
    expect(await rowOf(net, 0)).toEqual([[1, 65535]])
  })

  test('makes a new neuron wait from its registration on', async () => {
    await using net = await startNet(genesis({ hyperparameters: { WeightsSetRateLimit: 10 } }))
    const fresh = account('Fresh')
    await net.mine(3)
    const registered = await net.include(net.call('subtensorModule.burnedRegister', NETUID, fresh.address), cold)
    expect(registered).toMatchObject({ error: null })
    expect(await net.refusal(set(net, [3], [1]), fresh)).toEqual(custom(6))
    await net.mine(9)
    expect(await net.include(set(net, [3], [1]), fresh)).toMatchObject({ error: null })
  })

  test('accepts mechanism 0, the subnet itself, and no other', async () => {
    await using net = await startNet()
    const setMechanismWeights = (...args: unknown[]) => net.call('subtensorModule.setMechanismWeights', ...args)
    expect(await net.include(setMechanismWeights(NETUID, 0, [1], [1], 0), validator)).toMatchObject({ error: null })
    expect(await net.include(setMechanismWeights(NETUID, 1, [1], [1], 0), validator)).toMatchObject({
      error: 'MechanismDoesNotExist',
    })
  })

  test('reports a refused row of a batch by an event, and sets the others', async () => {
    await using net = await startNet()
    const batchSetWeights = (...args: unknown[]) => net.call('subtensorModule.batchSetWeights', ...args)
    const sent = await net.include(batchSetWeights([NETUID, 9], [[[1, 5]], [[1, 5]]], [0, 0]), validator)
    expect(sent).toMatchObject({ error: null })
    expect(sent.events).toEqual([
      'subtensorModule.WeightsSet',
      'subtensorModule.BatchWeightItemFailed',
      'subtensorModule.BatchCompletedWithErrors',
      'subtensorModule.BatchWeightsCompleted',
      'system.ExtrinsicSuccess',
    ])
    expect(await net.refusal(batchSetWeights([NETUID], [], [0]), validator)).toEqual(custom(18))
  })
})
