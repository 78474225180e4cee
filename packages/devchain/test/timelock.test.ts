import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { initSync, tle } from '@ideallabs/timelock_wasm_wrapper'
import { beforeAll, describe, expect, test } from 'vitest'
import { custom, genesis, NETUID, type Net, second, startNet, stranger, validator } from './client.ts'

/** The key of drand's quicknet, and its signature of round 1000. */
const KEY =
  '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451' +
  '0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a'
const SIGNATURE = '0xb44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39'
const ROUND = 1_000
const WASM = '@ideallabs/timelock_wasm_wrapper/timelock_wasm_wrapper_bg.wasm'

beforeAll(() => void initSync({ module: readFileSync(fileURLToPath(import.meta.resolve(WASM))) }))

function seal(message: Uint8Array): string {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(ROUND))
  const identity = new Uint8Array(createHash('sha256').update(bytes).digest())
  const [secret, key] = [randomBytes(32), Buffer.from(KEY, 'hex')].map(bytes => new Uint8Array(bytes))
  return `0x${Buffer.from(tle(identity, message, secret, key, 'bls12_381') as number[]).toString('hex')}`
}

describe('commits sealed for a round of drand', () => {
  const start = (tempo = 9) => startNet(genesis({ tempo, hyperparameters: { CommitRevealWeightsEnabled: true } }))
  const payload = (net: Net, who: Uint8Array, uids: number[], values: number[]) =>
    net.api.createType('(Vec<u8>,Vec<u16>,Vec<u16>,u64)', [[...who], uids, values, 0]).toU8a()
  const commit = (net: Net, bytes: string, round = ROUND, version = 4) =>
    net.call('subtensorModule.commitTimelockedWeights', NETUID, bytes, round, version)
  const open = (net: Net) => net.read('subtensorModule.timelockedWeightCommits', NETUID, 0)
  const rowOf = (net: Net, uid: number) => net.read('subtensorModule.weights', NETUID, uid)
  /** Epochs of netuid 1 begin where (block + 2) mod 10 = 0. */
  async function nextEpoch(net: Net): Promise<void> {
    do await net.mine(1)
    while ((net.chain.blockNumber() + 2) % 10 !== 0)
  }

  test('are kept until their epoch and round, and dropped when they cannot be used', async () => {
    await using net = await start()
    const sent = await net.include(commit(net, seal(payload(net, validator.publicKey, [1, 2], [1, 2]))), validator)
    expect(sent.events).toEqual(['subtensorModule.TimelockedWeightsCommitted', 'system.ExtrinsicSuccess'])
    // Another's weights, and no weights at all.
    await net.include(commit(net, seal(payload(net, validator.publicKey, [0], [1]))), second)
    await net.include(commit(net, '0x1234'), second)
    await nextEpoch(net)
    await net.mine(2)
    expect(await open(net)).toHaveLength(3)
    expect(await rowOf(net, 0)).toEqual([])
    await net.chain.setPulse(ROUND, SIGNATURE)
    await net.mine(1)
    expect(await open(net)).toEqual([])
    expect(await rowOf(net, 0)).toEqual([
      [1, 32768],
      [2, 65535],
    ])
    expect(await rowOf(net, 1)).toEqual([])
  })

  test('are dropped when their epoch ends before their round', async () => {
    await using net = await start()
    await net.include(commit(net, seal(payload(net, validator.publicKey, [1], [1]))), validator)
    await nextEpoch(net)
    await nextEpoch(net)
    await net.chain.setPulse(ROUND, SIGNATURE)
    await net.mine(1)
    expect(await open(net)).toEqual([])
    expect(await rowOf(net, 0)).toEqual([])
  })

  test('are refused with a wrong version, for a past round, from unregistered hotkeys, and above ten', async () => {
    await using net = await start(99)
    expect(await net.include(commit(net, '0x12', ROUND, 3), validator)).toMatchObject({
      error: 'IncorrectCommitRevealVersion',
    })
    expect(await net.include(commit(net, '0x12'), stranger)).toMatchObject({ error: 'HotKeyNotRegisteredInSubNet' })
    for (let count = 0; count < 10; count++) await net.include(commit(net, '0x12'), validator)
    expect(await net.include(commit(net, '0x12'), validator)).toMatchObject({ error: 'TooManyUnrevealedCommits' })
    await net.chain.setPulse(ROUND, SIGNATURE)
    expect(await net.refusal(commit(net, '0x12', ROUND - 1), validator)).toEqual(custom(15))
    await net.chain.setHyperparameters(NETUID, { CommitRevealWeightsEnabled: false })
    expect(await net.include(commit(net, '0x12'), validator)).toMatchObject({ error: 'CommitRevealDisabled' })
  })
})
