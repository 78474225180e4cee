import { expect, test } from 'vitest'
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
  sudo,
  TAO,
  validator,
} from './client.ts'

interface Axon {
  ip?: bigint | number
  port?: number
  ipType?: number
  netuid?: number
}

const serve = (net: Net, { ip = 0x7f000002, port = 8000, ipType = 4, netuid = NETUID }: Axon = {}) =>
  net.call('subtensorModule.serveAxon', netuid, 10_002_000, ip, port, ipType, 4, 0, 0)
const prometheus = (net: Net, { ip = 0x7f000002, port = 8000, ipType = 4, netuid = NETUID }: Axon = {}) =>
  net.call('subtensorModule.servePrometheus', netuid, 1, ip, port, ipType)

const V6_MAX = (1n << 128n) - 1n

test('serve_axon stores an axon, also of an account without a balance', async () => {
  await using net = await startNet()
  const served = await net.include(serve(net), miner)
  expect(served).toMatchObject({ error: null, events: ['subtensorModule.AxonServed', 'system.ExtrinsicSuccess'] })
  expect(await net.read('subtensorModule.axons', NETUID, miner.address)).toEqual({
    block: 1,
    version: 10_002_000,
    ip: 0x7f000002,
    port: 8000,
    ipType: 4,
    protocol: 4,
    placeholder1: 0,
    placeholder2: 0,
  })
})

test('the pool refuses serve_axon for each reason, in the order of the checks', async () => {
  await using net = await startNet(genesis({ hyperparameters: { ServingRateLimit: 5 } }))
  await net.include(serve(net), miner)
  const wrong = { port: 0, ipType: 5, ip: 0x7f000001 }
  expect(await net.refusal(serve(net, wrong), stranger)).toEqual(custom(10))
  expect(await net.refusal(serve(net, { ...wrong, netuid: 9 }), miner)).toEqual(custom(10))
  expect(await net.refusal(serve(net, wrong), miner)).toEqual(custom(255))
  expect(await net.refusal(serve(net, { ...wrong, ipType: 4 }), miner)).toEqual(custom(11))
  expect(await net.refusal(serve(net, { port: 0 }), miner)).toEqual(custom(12))
  expect(await net.refusal(serve(net, { port: 0 }), second)).toEqual(custom(13))
})

test.each([
  ['127.0.0.1', { ip: 0x7f000001 }],
  ['255.255.255.255', { ip: 0xffffffff }],
  ['more than a v4 address', { ip: 1n << 40n }],
  ['::1', { ip: 1, ipType: 6 }],
  ['all ones', { ip: V6_MAX, ipType: 6 }],
])('refuses to serve at %s', async (_name, axon) => {
  await using net = await startNet()
  expect(await net.refusal(serve(net, axon), miner)).toEqual(custom(11))
  expect(await net.refusal(prometheus(net, axon), miner)).toEqual(custom(11))
})

test('serves at 127.0.0.2, private ranges and 0; prometheus refuses 0', async () => {
  await using net = await startNet()
  for (const axon of [{ ip: 0x7f000002 }, { ip: 0x0a000001 }, { ip: 0 }, { ip: 2n << 100n, ipType: 6 }]) {
    expect(await net.include(serve(net, axon), miner)).toMatchObject({ error: null })
  }
  expect(await net.refusal(prometheus(net, { ip: 0 }), miner)).toEqual(custom(11))
  expect(await net.include(prometheus(net), miner)).toMatchObject({
    events: ['subtensorModule.PrometheusServed', 'system.ExtrinsicSuccess'],
  })
  expect(await net.refusal(prometheus(net), stranger)).toEqual(custom(10))
})

test('counts the serving rate limit in blocks, and not for an axon of the genesis', async () => {
  const hyperparameters = { ServingRateLimit: 4 }
  const neurons = [{ hotkey: miner.address, coldkey: cold.address, axon: { ip: '127.0.0.2', port: 1234 } }]
  await using net = await startNet(genesis({ hyperparameters, neurons }))
  expect(await net.read('subtensorModule.axons', NETUID, miner.address)).toMatchObject({ block: 0, port: 1234 })
  await net.include(serve(net), miner)
  await net.mine(2)
  expect(await net.refusal(serve(net), miner)).toEqual(custom(12))
  await net.mine(1)
  expect(await net.include(serve(net), miner)).toMatchObject({ error: null })
  await net.sudo(net.call('adminUtils.sudoSetServingRateLimit', NETUID, 0))
  expect(await net.include(serve(net), miner)).toMatchObject({ error: null })
})

test('serve_axon_tls also stores a certificate', async () => {
  await using net = await startNet()
  const call = net.call('subtensorModule.serveAxonTls', NETUID, 1, 0x7f000002, 80, 4, 4, 0, 0, '0x01aabb')
  expect(await net.include(call, miner)).toMatchObject({ error: null })
  expect(await net.read('subtensorModule.neuronCertificates', NETUID, miner.address)).toEqual({
    publicKey: '0xaabb',
    algorithm: 1,
  })
})

const fresh = account('Fresh')
const register = (net: Net, hotkey = fresh.address, netuid = NETUID) =>
  net.call('subtensorModule.burnedRegister', netuid, hotkey)

test('burned_register burns the price and gives the next uid', async () => {
  await using net = await startNet(genesis({ hyperparameters: { Burn: Number(3n * TAO) } }))
  const issued = async () => BigInt((await net.read('balances.totalIssuance')) as string)
  const before = await issued()
  const sent = await net.include(register(net), cold)
  expect(sent.error).toBe(null)
  expect(sent.events).toEqual([
    'balances.Withdraw',
    'balances.Withdraw',
    'subtensorModule.NeuronRegistered',
    'system.ExtrinsicSuccess',
  ])
  expect(before - (await issued())).toBeGreaterThan(3n * TAO)
  expect(await net.read('subtensorModule.uids', NETUID, fresh.address)).toBe(3)
  expect(await net.read('subtensorModule.keys', NETUID, 3)).toBe(fresh.address)
  expect(await net.read('subtensorModule.owner', fresh.address)).toBe(cold.address)
  expect(await net.read('subtensorModule.subnetworkN', NETUID)).toBe(4)
  expect(await net.read('subtensorModule.blockAtRegistration', NETUID, 3)).toBe(1)
  expect(await net.read('subtensorModule.lastUpdate', NETUID)).toEqual([0, 0, 0, 1])
  expect(await net.read('subtensorModule.validatorPermit', NETUID)).toEqual([true, true, false, false])
})

test('burned_register is refused for each reason', async () => {
  const poor = account('Poor')
  const balances = {
    [cold.address]: Number(100n * TAO),
    [poor.address]: Number(TAO / 2n),
    [sudo.address]: Number(9n * TAO),
  }
  await using net = await startNet(genesis({}, { balances }))
  const error = async (call: ReturnType<typeof register>, signer = cold) => (await net.include(call, signer)).error
  expect(await error(register(net, fresh.address, 0))).toBe('RegistrationNotPermittedOnRootSubnet')
  expect(await error(register(net, fresh.address, 9))).toBe('SubnetNotExists')
  expect(await error(register(net, miner.address), poor)).toBe('HotKeyAlreadyRegisteredInSubNet')
  expect(await error(register(net), poor)).toBe('NotEnoughBalanceToStake')
  expect(await error(net.call('subtensorModule.registerLimit', NETUID, fresh.address, 5))).toBe(
    'RegistrationPriceLimitExceeded',
  )
  await net.sudo(net.call('adminUtils.sudoSetNetworkRegistrationAllowed', NETUID, false))
  expect(await error(register(net))).toBe('SubNetRegistrationDisabled')
})

test('refuses a hotkey of another coldkey', async () => {
  await using net = await startNet()
  await net.include(net.call('subtensorModule.registerNetwork', fresh.address), cold)
  await net.sudo(net.call('balances.forceSetBalance', stranger.address, 10n * TAO))
  const second = await net.include(register(net, fresh.address), stranger)
  expect(second.error).toBe('NonAssociatedColdKey')
})

test('replaces the worst neuron outside immunity on a full subnet, and removes its data', async () => {
  await using net = await startNet(genesis({ hyperparameters: { MaxAllowedUids: 3, ImmunityPeriod: 3 } }))
  await net.include(serve(net), validator)
  await net.include(net.call('subtensorModule.setWeights', NETUID, [1], [1], 0), validator)
  expect(await net.include(register(net), cold)).toMatchObject({ error: null })
  expect(await net.read('subtensorModule.uids', NETUID, fresh.address)).toBe(0)
  expect(await net.read('subtensorModule.uids', NETUID, validator.address)).toBe(null)
  expect(await net.read('subtensorModule.axons', NETUID, validator.address)).toBe(null)
  expect(await net.read('subtensorModule.weights', NETUID, 0)).toEqual([])
  expect(await net.read('subtensorModule.validatorPermit', NETUID)).toEqual([false, true, false])
  await net.sudo(net.call('adminUtils.sudoSetImmunityPeriod', NETUID, 1000))
  expect(await net.include(register(net, stranger.address), cold)).toMatchObject({ error: 'NoNeuronIdAvailable' })
})

test('stakes and unstakes one for one', async () => {
  await using net = await startNet()
  const stakeOf = async (hotkey: string) =>
    BigInt((await net.read('subtensorModule.totalHotkeyAlpha', hotkey, NETUID)) as number)
  const add = (hotkey: string, amount: bigint, netuid = NETUID) =>
    net.call('subtensorModule.addStake', hotkey, netuid, amount)
  const added = await net.include(add(miner.address, 7n * TAO), cold)
  expect(added.events).toContain('subtensorModule.StakeAdded')
  expect(await stakeOf(miner.address)).toBe(7n * TAO)
  expect(await net.read('subtensorModule.alphaV2', miner.address, cold.address, NETUID)).toEqual({
    mantissa: Number(7n * TAO),
    exponent: 0,
  })
  const remove = (amount: bigint) => net.call('subtensorModule.removeStake', miner.address, NETUID, amount)
  expect((await net.include(remove(8n * TAO), cold)).error).toBe('NotEnoughStakeToWithdraw')
  expect((await net.include(remove(2n * TAO), cold)).events).toContain('subtensorModule.StakeRemoved')
  expect(await stakeOf(miner.address)).toBe(5n * TAO)
  expect((await net.include(remove(TAO), sudo)).error).toBe('NotEnoughStakeToWithdraw')
  expect((await net.include(add(miner.address, TAO, 9), cold)).error).toBe('SubnetNotExists')
  expect((await net.include(add(miner.address, 10n), cold)).error).toBe('AmountTooLow')
  expect((await net.include(add(stranger.address, TAO), cold)).error).toBe('HotKeyAccountNotExists')
  expect((await net.include(add(miner.address, 1_000_000n * TAO), cold)).error).toBe('NotEnoughBalanceToStake')
})

test('charges the lock cost for a network; the next one must wait and costs more', async () => {
  await using net = await startNet()
  const create = (hotkey = fresh.address) => net.call('subtensorModule.registerNetwork', hotkey)
  expect((await net.include(create(), sudo)).error).toBe('CannotAffordLockCost')
  const sent = await net.include(create(), cold)
  expect(sent.events).toContain('subtensorModule.NetworkAdded')
  expect(await net.read('subtensorModule.networksAdded', 2)).toBe(true)
  expect(await net.read('subtensorModule.subnetOwner', 2)).toBe(cold.address)
  expect(await net.read('subtensorModule.uids', 2, fresh.address)).toBe(0)
  expect(await net.read('subtensorModule.minAllowedWeights', 2)).toBe(1)
  expect(await net.read('subtensorModule.weightsSetRateLimit', 2)).toBe(100)
  expect(await net.read('subtensorModule.commitRevealWeightsEnabled', 2)).toBe(true)
  expect(await net.read('subtensorModule.commitRevealWeightsEnabled', NETUID)).toBe(false)
  expect(await net.refusal(create(), cold)).toEqual(custom(6))
  await net.sudo(net.call('adminUtils.sudoSetNetworkRateLimit', 0))
  await net.include(create(), cold)
  expect(await net.read('subtensorModule.networkLastLockCost')).toBeGreaterThan(Number(1999n * TAO))
  const start = (netuid: number) => net.call('subtensorModule.startCall', netuid)
  expect((await net.include(start(2), sudo)).error).toBe('NotSubnetOwner')
  expect((await net.include(start(2), cold)).events).toContain('subtensorModule.FirstEmissionBlockNumberSet')
  expect((await net.include(start(2), cold)).error).toBe('FirstEmissionBlockNumberAlreadySet')
})

test('lets the owner of a subnet set its hyperparameters', async () => {
  await using net = await startNet()
  await net.include(net.call('subtensorModule.registerNetwork', fresh.address), cold)
  expect(await net.include(net.call('adminUtils.sudoSetServingRateLimit', 2, 7), cold)).toMatchObject({ error: null })
  expect(await net.read('subtensorModule.servingRateLimit', 2)).toBe(7)
  expect(await net.include(net.call('adminUtils.sudoSetServingRateLimit', NETUID, 7), cold)).toMatchObject({
    error: 'BadOrigin',
  })
})
