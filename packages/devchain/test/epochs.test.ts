import { hexToU8a } from '@polkadot/util'
import { describe, expect, test } from 'vitest'
import { cold, custom, genesis, miner, NETUID, type Net, startNet, stranger, sudo, TAO, validator } from './client.ts'

interface ModuleError {
  index: number
  error: string
}

async function rowOf(net: Net, uid: number): Promise<[number, number][]> {
  return (await net.read('subtensorModule.weights', NETUID, uid)) as [number, number][]
}

const set = (net: Net, uids: number[], values: number[], versionKey = 0, netuid = NETUID) =>
  net.call('subtensorModule.setWeights', netuid, uids, values, versionKey)

describe('commit-reveal by hash', () => {
  const salt = [1, 2, 3, 4, 5, 6, 7, 8]
  const tempo = 9

  function commitOf(net: Net, uids: number[], values: number[], versionKey = 0): string {
    const payload = net.api.createType('(AccountId32,u16,Vec<u16>,Vec<u16>,Vec<u16>,u64)', [
      validator.publicKey,
      NETUID,
      uids,
      values,
      salt,
      versionKey,
    ])
    return net.api.registry.hash(payload.toU8a()).toHex()
  }

  const start = (hyperparameters = {}) =>
    startNet(genesis({ tempo, hyperparameters: { CommitRevealWeightsEnabled: true, ...hyperparameters } }))
  const reveal = (net: Net, uids: number[], values: number[]) =>
    net.call('subtensorModule.revealWeights', NETUID, uids, values, salt, 0)
  const commit = (net: Net, uids: number[], values: number[]) =>
    net.call('subtensorModule.commitWeights', NETUID, commitOf(net, uids, values))

  /** Epochs of netuid 1 begin where (block + 2) mod 10 = 0. */
  async function nextEpoch(net: Net): Promise<void> {
    do await net.mine(1)
    while ((net.chain.blockNumber() + 2) % (tempo + 1) !== 0)
  }

  test('sets weights only in the epoch after the commit', async () => {
    await using net = await start()
    const sent = await net.include(commit(net, [1, 2], [1, 2]), validator)
    expect(sent.events).toEqual(['subtensorModule.WeightsCommitted', 'system.ExtrinsicSuccess'])
    const [first] = (await net.read('subtensorModule.weightCommits', NETUID, validator.address)) as [unknown[]]
    expect(first).toEqual([commitOf(net, [1, 2], [1, 2]), 0, 1, 0])
    expect(await net.refusal(reveal(net, [1, 2], [1, 2]), validator)).toEqual(custom(17))
    expect(await net.refusal(reveal(net, [1, 2], [9, 2]), validator)).toEqual(custom(16))
    await nextEpoch(net)
    const revealed = await net.include(reveal(net, [1, 2], [1, 2]), validator)
    expect(revealed).toMatchObject({ error: null })
    expect(revealed.events).toEqual([
      'subtensorModule.WeightsSet',
      'subtensorModule.WeightsRevealed',
      'system.ExtrinsicSuccess',
    ])
    expect(await rowOf(net, 0)).toEqual([
      [1, 32768],
      [2, 65535],
    ])
    expect(await net.read('subtensorModule.weightCommits', NETUID, validator.address)).toBe(null)
    expect(await net.refusal(reveal(net, [1, 2], [1, 2]), validator)).toEqual(custom(16))
  })

  test('gives the name of an error in the block and its number in the pool', async () => {
    await using net = await start()
    await net.include(net.call('balances.transferKeepAlive', validator.address, TAO), cold)
    const inBatch = async (uids: number[], values: number[]) =>
      (await net.include(net.call('utility.batchAll', [reveal(net, uids, values)]), validator)).error
    expect(await inBatch([1], [1])).toBe('NoWeightsCommitFound')
    await net.include(commit(net, [1], [1]), validator)
    expect(await inBatch([1], [1])).toBe('RevealTooEarly')
    expect(await inBatch([2], [1])).toBe('InvalidRevealCommitHashNotMatch')
    await nextEpoch(net)
    await nextEpoch(net)
    expect(await net.refusal(reveal(net, [1], [1]), validator)).toEqual(custom(17))
    expect(await inBatch([1], [1])).toBe('ExpiredWeightCommit')
  })

  test('drops older commits with a reveal, and uses the configured reveal period', async () => {
    await using net = await start({ RevealPeriodEpochs: 2 })
    await net.include(commit(net, [1], [1]), validator)
    await net.include(commit(net, [2], [1]), validator)
    await nextEpoch(net)
    expect(await net.refusal(reveal(net, [2], [1]), validator)).toEqual(custom(17))
    await nextEpoch(net)
    expect(await net.include(reveal(net, [2], [1]), validator)).toMatchObject({ error: null })
    expect(await net.refusal(reveal(net, [1], [1]), validator)).toEqual(custom(16))
  })

  test('limits the rate and the number of commits', async () => {
    await using net = await start({ WeightsSetRateLimit: 3 })
    const hash = `0x${'11'.repeat(32)}`
    const commitWeights = (...args: unknown[]) => net.call('subtensorModule.commitWeights', ...args)
    expect(await net.include(commitWeights(NETUID, hash), stranger)).toMatchObject({
      error: 'HotKeyNotRegisteredInSubNet',
    })
    await net.include(commitWeights(NETUID, hash), validator)
    expect(await net.refusal(commitWeights(NETUID, hash), validator)).toEqual(custom(6))
    await net.sudo(net.call('adminUtils.sudoSetWeightsSetRateLimit', NETUID, 0))
    await net.sudo(net.call('adminUtils.sudoSetTempo', NETUID, 1000))
    for (let open = 1; open < 10; open++) await net.include(commitWeights(NETUID, hash), validator)
    expect(await net.include(commitWeights(NETUID, hash), validator)).toMatchObject({
      error: 'TooManyUnrevealedCommits',
    })
    await net.sudo(net.call('adminUtils.sudoSetCommitRevealWeightsEnabled', NETUID, false))
    expect(await net.include(commitWeights(NETUID, hash), validator)).toMatchObject({ error: 'CommitRevealDisabled' })
  })

  test('checks a reveal like set_weights, without the rate limit', async () => {
    await using net = await start({ WeightsSetRateLimit: 50, MinAllowedWeights: 2 })
    await net.mine(50)
    await net.include(commit(net, [1], [1]), validator)
    await nextEpoch(net)
    expect(await net.include(reveal(net, [1], [1]), validator)).toMatchObject({ error: 'WeightVecLengthIsLow' })
  })
})

describe('epochs', () => {
  test('run in the blocks of the formula, and give permits by stake', async () => {
    await using net = await startNet(genesis({ tempo: 4, hyperparameters: { MaxAllowedValidators: 2 } }))
    const permits = () => net.read('subtensorModule.validatorPermit', NETUID)
    expect(await permits()).toEqual([true, true, false])
    await net.include(net.call('subtensorModule.addStake', miner.address, NETUID, 3000n * TAO), cold)
    expect(await permits()).toEqual([true, true, false])
    const epochs: number[] = []
    while (net.chain.blockNumber() < 20) {
      await net.mine(1)
      if ((await net.read('subtensorModule.blocksSinceLastStep', NETUID)) === 0) epochs.push(net.chain.blockNumber())
    }
    // (b + 1 + 1) mod (4 + 1) = 0
    expect(epochs).toEqual([3, 8, 13, 18])
    expect(await permits()).toEqual([true, false, true])
    expect(await net.read('subtensorModule.lastEpochBlock', NETUID)).toBe(18)
    expect(await net.read('subtensorModule.subnetEpochIndex', NETUID)).toBe(4)
    const next = await net.provider.send<string>('state_call', [
      'SubnetInfoRuntimeApi_get_next_epoch_start_block',
      '0x0100',
    ])
    expect(net.api.createType('Option<u64>', hexToU8a(next)).toJSON()).toBe(23)
  })

  test('make neurons inactive that set no weights within the cutoff', async () => {
    // floor(1334 · 9 / 1000) = 12 blocks; the older item counts for nothing.
    const hyperparameters = { ActivityCutoff: 1, ActivityCutoffFactorMilli: 1334 }
    await using net = await startNet(genesis({ tempo: 9, hyperparameters }))
    const active = async () => await net.read('subtensorModule.active', NETUID)
    await net.mine(7)
    await net.include(set(net, [2], [1]), validator)
    expect(net.chain.blockNumber()).toBe(8)
    expect(await active()).toEqual([true, true, true])
    await net.mine(10)
    expect(await active()).toEqual([true, false, false])
  })
})

describe('hyperparameters', () => {
  test('are set by sudo only, and never just before an epoch', async () => {
    await using net = await startNet(genesis({ tempo: 20 }, { adminFreezeWindow: 10 }))
    const sent = await net.sudo(net.call('adminUtils.sudoSetMinAllowedWeights', NETUID, 2))
    expect(sent.events).toContain('subtensorModule.MinAllowedWeightSet')
    expect(await net.read('subtensorModule.minAllowedWeights', NETUID)).toBe(2)
    expect(await net.include(net.call('adminUtils.sudoSetWeightsSetRateLimit', NETUID, 9), cold)).toMatchObject({
      error: 'BadOrigin',
    })
    const bySomebody = net.call('sudo.sudo', net.call('adminUtils.sudoSetTempo', NETUID, 9))
    expect(await net.refusal(bySomebody, cold)).toMatchObject({ code: 1010, data: 'Invalid signing address' })
    await net.mine(10)
    await net.sudo(net.call('adminUtils.sudoSetTempo', NETUID, 9))
    const events = (await net.read('system.events')) as { event: { data: { err?: { module: ModuleError } }[] } }[]
    const refused = events.map(({ event }) => event.data[0]?.err?.module).find(Boolean) as ModuleError
    expect(net.errorName(refused)).toBe('AdminActionProhibitedDuringWeightsWindow')
    await net.sudo(net.call('adminUtils.sudoSetAdminFreezeWindow', 0))
    await net.sudo(net.call('adminUtils.sudoSetTempo', NETUID, 9))
    expect(await net.read('subtensorModule.tempo', NETUID)).toBe(9)
  })

  test('are each set by their own setter', async () => {
    await using net = await startNet()
    const perSubnet: [string, string, number | boolean][] = [
      ['sudoSetServingRateLimit', 'servingRateLimit', 11],
      ['sudoSetWeightsVersionKey', 'weightsVersionKey', 12],
      ['sudoSetWeightsSetRateLimit', 'weightsSetRateLimit', 13],
      ['sudoSetImmunityPeriod', 'immunityPeriod', 14],
      ['sudoSetMinAllowedWeights', 'minAllowedWeights', 15],
      ['sudoSetMaxAllowedUids', 'maxAllowedUids', 16],
      ['sudoSetActivityCutoff', 'activityCutoff', 17],
      ['sudoSetNetworkRegistrationAllowed', 'networkRegistrationAllowed', false],
      ['sudoSetTargetRegistrationsPerInterval', 'targetRegistrationsPerInterval', 18],
      ['sudoSetMinBurn', 'minBurn', 19],
      ['sudoSetMaxAllowedValidators', 'maxAllowedValidators', 20],
      ['sudoSetMaxRegistrationsPerBlock', 'maxRegistrationsPerBlock', 21],
      ['sudoSetTempo', 'tempo', 22],
      ['sudoSetCommitRevealWeightsEnabled', 'commitRevealWeightsEnabled', true],
      ['sudoSetCommitRevealWeightsInterval', 'revealPeriodEpochs', 23],
      ['sudoSetSubtokenEnabled', 'subtokenEnabled', false],
    ]
    const chainWide: [string, string, number][] = [
      ['sudoSetTxRateLimit', 'txRateLimit', 24],
      ['sudoSetNetworkRateLimit', 'networkRateLimit', 25],
      ['sudoSetStakeThreshold', 'stakeThreshold', 26],
      ['sudoSetCommitRevealVersion', 'commitRevealWeightsVersion', 27],
      ['sudoSetAdminFreezeWindow', 'adminFreezeWindow', 28],
    ]
    const calls = [
      ...perSubnet.map(([call, , value]) => net.call(`adminUtils.${call}`, NETUID, value)),
      ...chainWide.map(([call, , value]) => net.call(`adminUtils.${call}`, value)),
    ]
    expect(calls).toHaveLength(Object.keys(net.api.tx.adminUtils ?? {}).length)
    await net.sudo(net.call('utility.batchAll', calls))
    for (const [, item, value] of perSubnet) expect(await net.read(`subtensorModule.${item}`, NETUID), item).toBe(value)
    for (const [, item, value] of chainWide) expect(await net.read(`subtensorModule.${item}`), item).toBe(value)
    expect(sudo.address).toBe(await net.read('sudo.key'))
  })
})
