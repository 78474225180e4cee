import type { Devchain } from '@horde/devchain/devchain'
import { ApiPromise, WsProvider } from '@polkadot/api'
import type { ApiOptions } from '@polkadot/api/types'
import { hexToU8a, u8aToHex } from '@polkadot/util'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { endpointsOf } from '../src/endpoints.ts'
import { validatorsOf } from '../src/metagraph.ts'
import { refusalOfPool } from '../src/subtensor/extrinsics/refusals.ts'
import type { RpcError } from '../src/subtensor/rpc.ts'
import type { Subtensor } from '../src/subtensor.ts'
import { type Hotkey, hotkeyFromUri } from '../src/wallet.ts'
import { emitWeights, processWeights } from '../src/weights/sdk.ts'
import { makeWeights } from '../src/weights.ts'
import { alice, bob, charlie, connectTo, crowd, EASY, NETUID, owner, startNetwork, unregistered } from './network.ts'

const row = (weights: number[], netuid = NETUID) => ({
  netuid,
  uids: weights.map((_, uid) => uid),
  weights,
  versionKey: 0,
})

/** Subnets of the one chain that all tests share, each with its own rules. */
const BIG = 1
const SLOW = 2
const STRICT = 3
const VERSIONED = 4
const REVEALING = 5
const LIMITED = 6

let devchain: Devchain
let chain: Subtensor
const warnings = vi.spyOn(console, 'warn')

beforeAll(async () => {
  const axon = { ip: '10.1.2.3', port: 8091 }
  devchain = await startNetwork({
    subnets: [
      {
        neurons: [
          [alice, 50_000],
          [bob, 2_000],
          [charlie, 0, axon],
        ],
      },
      { netuid: BIG, neurons: crowd(256) },
      { netuid: SLOW, hyperparameters: { ...EASY, WeightsSetRateLimit: 50, ServingRateLimit: 50 } },
      {
        netuid: STRICT,
        hyperparameters: { ...EASY, MinAllowedWeights: 4 },
        neurons: [[alice, 50_000], ...crowd(8).slice(1)],
      },
      { netuid: VERSIONED, hyperparameters: { ...EASY, WeightsVersionKey: 7 } },
      { netuid: REVEALING, hyperparameters: { ...EASY, CommitRevealWeightsEnabled: true, RevealPeriodEpochs: 3 } },
      {
        netuid: LIMITED,
        hyperparameters: { ...EASY, MaxWeightsLimit: 19_660 },
        neurons: [[alice, 50_000], ...crowd(8).slice(1)],
      },
    ],
  })
  chain = await connectTo([devchain.url])
})
afterAll(async () => {
  warnings.mockRestore()
  await chain?.[Symbol.asyncDispose]()
  await devchain?.[Symbol.asyncDispose]()
})

it('connects without a warning about unknown signed extensions', () => {
  expect(warnings.mock.calls.flat().join('\n')).not.toMatch(/signed extensions/i)
  expect(chain.state()).toMatchObject({
    connected: true,
    endpoint: devchain.url,
    lastBlock: { number: expect.any(Number) },
  })
})

describe('metagraph', () => {
  it('reads every neuron of a subnet', async () => {
    const { netuid, block, neurons } = await chain.metagraph(NETUID)
    expect({ netuid, block }).toEqual({ netuid: NETUID, block: devchain.blockNumber() })
    expect(neurons.map(({ hotkey }) => hotkey)).toEqual([alice.ss58, bob.ss58, charlie.ss58])
    expect(neurons[0]).toEqual({
      uid: 0,
      hotkey: alice.ss58,
      coldkey: owner.ss58,
      stakeRao: 50_000_000_000_000n,
      validatorPermit: true,
      lastUpdate: 0,
      axon: null,
    })
    expect(neurons[2]).toMatchObject({ stakeRao: 0n, validatorPermit: false })
    expect(neurons[2]?.axon).toEqual({ ip: '10.1.2.3', port: 8091, ipType: 4, protocol: 4, version: 1, block: 0 })
    expect(validatorsOf({ netuid, block, neurons }).map(({ uid }) => uid)).toEqual([0, 1])
  })

  it('takes four requests for 256 neurons', async () => {
    const before = chain.requests
    const { neurons } = await chain.metagraph(BIG)
    expect(chain.requests - before).toBe(4)
    expect(neurons).toHaveLength(256)
    expect(neurons.map(({ uid }) => uid)).toEqual(Array.from({ length: 256 }, (_, uid) => uid))
    expect(neurons[200]).toMatchObject({ hotkey: hotkeyFromUri('//Crowd//200').ss58, stakeRao: 200_000_000_000n })
  })

  it('throws SubnetNotFound for a subnet that does not exist', async () => {
    await expect(chain.metagraph(99)).rejects.toMatchObject({ code: 'SubnetNotFound', retryable: false })
    await expect(chain.hyperparameters(99)).rejects.toMatchObject({ code: 'SubnetNotFound' })
  })
})

it('reads hyperparameters', async () => {
  const before = chain.requests
  expect(await chain.hyperparameters(LIMITED)).toEqual({
    netuid: LIMITED,
    block: devchain.blockNumber(),
    neurons: 8,
    tempo: 10,
    minAllowedWeights: 1,
    maxWeightsLimit: 19_660,
    weightsSetRateLimit: 0,
    weightsVersionKey: 0n,
    servingRateLimit: 0,
    activityCutoff: 138,
    immunityPeriod: expect.any(Number),
    maxAllowedUids: 256,
    maxAllowedValidators: 64,
    stakeThresholdRao: 0n,
    commitRevealWeightsEnabled: false,
    revealPeriodEpochs: 1,
  })
  expect(chain.requests - before).toBe(2)
  expect(await chain.hyperparameters(REVEALING)).toMatchObject({
    commitRevealWeightsEnabled: true,
    revealPeriodEpochs: 3,
  })
  expect(await chain.hyperparameters(VERSIONED)).toMatchObject({ weightsVersionKey: 7n })
})

it('reads the time of the best block', async () => {
  const before = Date.now()
  await devchain.mineBlock()
  const { block, timeMs } = await chain.blockTime()
  expect(block).toBe(devchain.blockNumber())
  expect(timeMs).toBeGreaterThanOrEqual(before)
  expect(timeMs).toBeLessThanOrEqual(Date.now())
})

it('marks only blocks that arrive after the connection as fresh', async () => {
  await using other = await connectTo([devchain.url])
  expect(other.state().lastBlock).toMatchObject({ number: devchain.blockNumber(), fresh: false })
  await devchain.mineBlock()
  await expect.poll(() => other.state().lastBlock).toMatchObject({ number: devchain.blockNumber(), fresh: true })
})

describe('serveAxon', () => {
  const axon = { ip: '127.0.0.2', port: 8000, version: 3 }
  const announced = async (netuid: number) => (await chain.metagraph(netuid)).neurons[1]?.axon

  it('announces once, and again only after a change', async () => {
    const first = await chain.serveAxon(NETUID, axon, bob)
    expect(first).toEqual({ announced: true, block: devchain.blockNumber() })
    expect(await announced(NETUID)).toEqual({ ...axon, ipType: 4, protocol: 4, block: first.block })

    await devchain.mineBlock()
    expect(await chain.serveAxon(NETUID, axon, bob)).toEqual({ announced: false, block: first.block })
    expect((await announced(NETUID))?.block).toBe(first.block)

    for (const changed of [
      { ...axon, port: 8001 },
      { ...axon, version: 4 },
      { ip: '2001:db8::7', port: 8001, version: 4 },
    ]) {
      const again = await chain.serveAxon(NETUID, changed, bob)
      expect(again).toEqual({ announced: true, block: devchain.blockNumber() })
      expect(await announced(NETUID)).toMatchObject({ ...changed, block: again.block })
    }
    expect((await announced(NETUID))?.ipType).toBe(6)
    expect(await chain.serveAxon(NETUID, { ip: '2001:0DB8:0::7', port: 8001, version: 4 }, bob)).toMatchObject({
      announced: false,
    })
  })

  it('throws a specific error for each invalid announcement', async () => {
    await expect(chain.serveAxon(NETUID, { ...axon, ip: 'localhost' }, bob)).rejects.toMatchObject({
      code: 'InvalidIpAddress',
    })
    await expect(chain.serveAxon(NETUID, { ...axon, ip: '127.0.0.1' }, bob)).rejects.toMatchObject({
      code: 'InvalidIpAddress',
      chainName: 'Custom(11)',
    })
    await expect(chain.serveAxon(NETUID, { ...axon, port: 0 }, bob)).rejects.toMatchObject({ code: 'InvalidPort' })
    await expect(chain.serveAxon(NETUID, axon, unregistered)).rejects.toMatchObject({ code: 'NotRegistered' })
    await chain.serveAxon(SLOW, axon, bob)
    await expect(chain.serveAxon(SLOW, { ...axon, port: 9 }, bob)).rejects.toMatchObject({
      code: 'ServingTooFast',
      retryable: true,
    })
    expect(await chain.serveAxon(SLOW, axon, bob)).toMatchObject({ announced: false })
  })
})

describe('setWeights', () => {
  it('returns the including block, and the chain holds the upscaled row in the order sent', async () => {
    const weights = { netuid: NETUID, uids: [2, 0], weights: [100, 200], versionKey: 2n }
    const included = await chain.setWeights(weights, alice)
    expect(included).toEqual({ block: devchain.blockNumber(), blockHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
    expect(await chain.weightsOf(NETUID, 0)).toEqual([
      { uid: 2, weight: 32_768 },
      { uid: 0, weight: 65_535 },
    ])
    expect((await chain.metagraph(NETUID)).neurons[0]?.lastUpdate).toBe(included.block)
    expect(await chain.blockNumber()).toBe(included.block)
    expect(await chain.weightsOf(NETUID, 2)).toEqual([])
  })

  it('sends several rows at once, each with its own nonce', async () => {
    const rows = [row([1, 2, 3]), row([1], SLOW), { ...row([1, 1], STRICT), uids: [1, 2] }]
    const [first, second, third] = await Promise.allSettled(rows.map(weights => chain.setWeights(weights, alice)))
    expect(first).toMatchObject({ status: 'fulfilled', value: { block: expect.any(Number) } })
    expect(second).toMatchObject({ status: 'fulfilled' })
    expect(third).toMatchObject({ status: 'rejected', reason: { code: 'TooFewWeights' } })
  })

  it('throws SettingWeightsTooFast within the rate limit', async () => {
    await chain.setWeights(row([1, 2, 3], SLOW), bob)
    const again = chain.setWeights(row([3, 2, 1], SLOW), bob)
    await expect(again).rejects.toMatchObject({
      code: 'SettingWeightsTooFast',
      chainName: 'Custom(6)',
      retryable: true,
    })
    expect((await chain.weightsOf(SLOW, 1))[2]).toEqual({ uid: 2, weight: 65_535 })
  })

  it.each([
    ['NoValidatorPermit', 'NeuronNoValidatorPermit', charlie, row([1, 1])],
    ['NotRegistered', 'HotKeyNotRegisteredInSubNet', unregistered, row([1])],
    ['SubnetNotFound', 'SubnetNotExists', alice, row([1], 99)],
    ['CommitRevealEnabled', 'CommitRevealEnabled', alice, row([1], REVEALING)],
    ['WrongVersionKey', 'IncorrectWeightVersionKey', alice, { ...row([1], VERSIONED), versionKey: 6 }],
    ['UnequalLengths', 'WeightVecNotEqualSize', alice, { ...row([1, 2]), uids: [1] }],
    ['TooManyUids', 'UidsLengthExceedUidsInSubNet', alice, row([1, 1, 1, 1])],
    ['DuplicateUids', 'DuplicateUids', alice, { ...row([1, 1]), uids: [1, 1] }],
    ['InvalidUid', 'UidVecContainInvalidOne', alice, { ...row([1, 1]), uids: [1, 3] }],
    ['TooFewWeights', 'WeightVecLengthIsLow', alice, { ...row([1], STRICT), uids: [1] }],
    ['MaxWeightExceeded', 'MaxWeightExceeded', alice, row([2, 1, 1], LIMITED)],
  ])('throws %s', async (code, chainName, hotkey, weights) => {
    const refused = chain.setWeights(weights, hotkey)
    await expect(refused).rejects.toMatchObject({ name: 'ChainError', code, chainName, retryable: false })
  })

  it('throws BadSignature for a signature of another key', async () => {
    const { pair } = alice
    const forged: Hotkey = {
      ...alice,
      pair: {
        ...pair,
        address: pair.address,
        addressRaw: pair.addressRaw,
        publicKey: pair.publicKey,
        type: pair.type,
        sign: bob.pair.sign,
      },
    }
    await expect(chain.setWeights(row([1, 1, 1]), forged)).rejects.toMatchObject({
      code: 'BadSignature',
      retryable: false,
    })
  })

  it('gets rows of the SDK accepted by repairing them', async () => {
    const cases = [
      { netuid: STRICT, scores: [0, 3, 0, 1, 0, 0, 0, 0], refusal: 'TooFewWeights' },
      { netuid: LIMITED, scores: [0, 10, 1, 1, 1, 1, 0, 0], refusal: 'MaxWeightExceeded' },
      { netuid: LIMITED, scores: [0, 0, 0, 5, 0, 0, 0, 0], refusal: 'MaxWeightExceeded' },
    ]
    for (const { netuid, scores, refusal } of cases) {
      const { minAllowedWeights, maxWeightsLimit } = await chain.hyperparameters(netuid)
      const processed = processWeights(scores, { minAllowedWeights, maxWeightsLimit })
      const emitted = emitWeights(processed.uids, processed.weights)
      await expect(chain.setWeights({ netuid, ...emitted, versionKey: 0 }, alice)).rejects.toMatchObject({
        code: refusal,
      })
      const repaired = makeWeights({ scores, minAllowedWeights, maxWeightsLimit })
      await chain.setWeights({ netuid, ...repaired, versionKey: 0 }, alice)
      expect((await chain.weightsOf(netuid, 0)).map(({ uid }) => uid)).toEqual(repaired.uids)
    }
  })
})

describe('extrinsics of an unmodified @polkadot/api', () => {
  let api: ApiPromise
  beforeAll(async () => {
    const provider = new WsProvider(devchain.url) as NonNullable<ApiOptions['provider']>
    api = await ApiPromise.create({ provider, noInitWarn: true })
  })
  afterAll(() => api?.disconnect())

  /** Returns the signed extrinsic in hex. */
  const signed = async (nonce: number): Promise<string> =>
    (
      await api.tx.subtensorModule?.setWeights?.(NETUID, [0], [1], 0)?.signAsync(alice.pair, { nonce, era: 0 })
    )?.toHex() ?? ''
  const refusal = async (extrinsic: string) => {
    const error: unknown = await api.rpc.author.submitExtrinsic(extrinsic).catch((failure: unknown) => failure)
    return refusalOfPool(error as RpcError)
  }
  const nextNonce = async () => (await api.rpc.system.accountNextIndex(alice.ss58)).toNumber()

  it('a changed byte gives BadSignature', async () => {
    const bytes = hexToU8a(await signed(await nextNonce()))
    const at = bytes.length - 9
    bytes[at] = (bytes[at] ?? 0) ^ 1
    expect(await refusal(u8aToHex(bytes))).toMatchObject({ code: 'BadSignature', chainName: 'BadProof' })
  })

  it('a used nonce gives StaleNonce', async () => {
    const nonce = await nextNonce()
    expect(nonce).toBeGreaterThan(0)
    expect(await refusal(await signed(nonce - 1))).toMatchObject({
      code: 'StaleNonce',
      chainName: 'Stale',
      retryable: true,
    })
  })

  it('the same extrinsic twice gives AlreadyImported, another with its nonce PriorityTooLow', async () => {
    const nonce = (await nextNonce()) + 1
    const first = await signed(nonce)
    await api.rpc.author.submitExtrinsic(first)
    expect(await refusal(first)).toMatchObject({ code: 'AlreadyImported', retryable: true })
    expect(await refusal(await signed(nonce))).toMatchObject({ code: 'PriorityTooLow', retryable: true })
  })
})

describe('endpointsOf', () => {
  it.each([
    ['finney', ['wss://entrypoint-finney.opentensor.ai:443']],
    ['test', ['wss://test.finney.opentensor.ai:443']],
    ['local', ['ws://127.0.0.1:9944']],
    ['10.0.0.1:9944, node.example:443', ['ws://10.0.0.1:9944', 'ws://node.example:443']],
    ['wss://a.example/path,local,wss://a.example/path', ['wss://a.example/path', 'ws://127.0.0.1:9944']],
    ['[::1]:9944', ['ws://[::1]:9944']],
  ])('resolves %s', (network, endpoints) => {
    expect(endpointsOf(network)).toEqual(endpoints)
  })

  it.each(['', ' , ', 'mainnet', 'http://a.example', 'a.example', 'finney,nonsense'])('refuses %j', network => {
    expect(() => endpointsOf(network)).toThrow(RangeError)
  })
})

afterEach(() => warnings.mockClear())
