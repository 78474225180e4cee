import { Keyring } from '@polkadot/api'
import { u8aToHex } from '@polkadot/util'
import { blake2AsHex } from '@polkadot/util-crypto'
import { expect, test } from 'vitest'
import { cold, connect, genesis, NETUID, refusalOf, startNet, stranger, sudo, TAO, validator } from './client.ts'

const invalid = (data: string) => ({ code: 1010, message: expect.stringContaining('1010: Invalid Transaction'), data })
const BAD_PROOF = invalid('Transaction has a bad signature')
const remark = '0x1234'

/** An hour between blocks, so that only the test makes blocks. */
const SLOW = { blockMs: 3_600_000 }

test('refuses an extrinsic that was altered anywhere', async () => {
  await using net = await startNet()
  const signed = await net.call('subtensorModule.setWeights', NETUID, [1], [1], 0).signAsync(validator)
  const bytes = signed.toU8a()
  // Behind length, version and address kind: signer 4…36, signature kind 36, signature 37…101, era and nonce, call.
  for (const at of [5, 40, 100, bytes.length - 1]) {
    const touched = bytes.slice()
    touched[at] = (touched[at] as number) ^ 1
    expect(await refusalOf(net.submit(u8aToHex(touched))), `byte ${at}`).toEqual(BAD_PROOF)
  }
  expect(await net.submit(signed.toHex())).toBe(signed.hash.toHex())
})

test('accepts signatures of ed25519 and ecdsa keys', async () => {
  await using net = await startNet()
  for (const type of ['ed25519', 'ecdsa'] as const) {
    const pair = new Keyring({ type, ss58Format: 42 }).addFromUri('//Other')
    await net.include(net.call('balances.transferKeepAlive', pair.address, TAO), cold)
    expect(await net.include(net.call('system.remarkWithEvent', remark), pair)).toMatchObject({
      error: null,
      events: ['balances.Withdraw', 'system.Remarked', 'system.ExtrinsicSuccess'],
    })
  }
})

test('refuses a signature for another chain, runtime or version', async () => {
  await using net = await startNet()
  await using other = await startNet(genesis({ tempo: 77 }))
  expect(other.api.genesisHash.toHex()).not.toBe(net.api.genesisHash.toHex())
  const foreign = await other.call('system.remark', remark).signAsync(cold, { era: 0 })
  expect(await refusalOf(net.submit(foreign.toHex()))).toEqual(BAD_PROOF)
  const options = { genesisHash: net.api.genesisHash, blockHash: net.api.genesisHash, nonce: 0, era: 0 }
  for (const specVersion of [424, 426]) {
    const runtimeVersion = { specVersion, transactionVersion: 1 }
    const wrong = net.call('system.remark', remark).sign(cold, { ...options, runtimeVersion } as never)
    expect(await refusalOf(net.submit(wrong.toHex()))).toEqual(BAD_PROOF)
  }
})

test('refuses a stale nonce, and keeps a future one until its turn', async () => {
  await using net = await startNet(genesis(), SLOW)
  const send = (nonce: number) => net.call('system.remark', remark).signAsync(cold, { nonce })
  const nextIndex = async () => (await net.api.rpc.system.accountNextIndex(cold.address)).toNumber()
  const statuses: string[] = []
  const future = net.call('system.remark', '0x02')
  const finalized = Promise.withResolvers<void>()
  await future.signAndSend(cold, { nonce: 1 }, ({ status }) => {
    statuses.push(status.type)
    if (status.isFinalized) finalized.resolve()
  })
  await net.mine(1)
  expect(await nextIndex()).toBe(0)
  await net.submit((await send(0)).toHex())
  expect(await nextIndex()).toBe(2)
  await net.mine(1)
  await finalized.promise
  expect(statuses).toEqual(['Future', 'Ready', 'Finalized'])
  expect(await refusalOf(net.submit((await send(1)).toHex()))).toEqual(invalid('Transaction is outdated'))
  expect((await net.read('system.account', cold.address)) as object).toMatchObject({ nonce: 2 })
})

test('refuses an era that is over or has not begun', async () => {
  await using net = await startNet()
  await net.mine(10)
  const { header } = await net.api.rpc.chain.getBlock().then(({ block }) => block)
  const signed = (nonce: number) =>
    net.call('system.remark', remark).signAsync(cold, { era: 8, blockHash: header.hash.toHex(), nonce } as never)
  // signAsync signs for the newest block; the bytes below are kept until their era is over.
  const early = await signed(0)
  const late = await signed(1)
  await net.submit(early.toHex())
  await net.mine(9)
  expect(await refusalOf(net.submit(late.toHex()))).toEqual(BAD_PROOF)
  const era = net.api.createType('ExtrinsicEra', { current: 70_000, period: 65_536 })
  const unborn = net.call('system.remark', remark).sign(cold, {
    blockHash: header.hash,
    era,
    genesisHash: net.api.genesisHash,
    nonce: 1,
    runtimeVersion: net.api.runtimeVersion,
  } as never)
  expect(await refusalOf(net.submit(unborn.toHex()))).toEqual(invalid('Transaction has an ancient birth block'))
})

test('drops a waiting transaction as invalid when its era ends', async () => {
  await using net = await startNet(genesis(), SLOW)
  await net.mine(4)
  const ended = Promise.withResolvers<string>()
  await net.call('system.remark', remark).signAndSend(cold, { era: 4, nonce: 5 }, ({ status }) => {
    if (!status.isFuture) ended.resolve(status.type)
  })
  await net.mine(6)
  expect(await ended.promise).toBe('Invalid')
  expect(await net.api.rpc.author.pendingExtrinsics()).toHaveLength(0)
})

test('refuses a known transaction, and replaces one of the same nonce only for a higher tip', async () => {
  await using net = await startNet(genesis(), SLOW)
  const one = await net.call('system.remark', '0x01').signAsync(cold, { nonce: 0, tip: 5n })
  const usurped = Promise.withResolvers<string>()
  await one.send(({ status }) => {
    if (status.isUsurped) usurped.resolve(status.asUsurped.toHex())
  })
  expect(await refusalOf(net.submit(one.toHex()))).toMatchObject({ code: 1013, data: `[${one.hash.toHex()}]` })
  const cheap = await net.call('system.remark', '0x02').signAsync(cold, { nonce: 0, tip: 5n })
  const refused = await refusalOf(net.submit(cheap.toHex()))
  expect(refused).toMatchObject({ code: 1014, message: expect.stringContaining('Priority is too low: (5 vs 5)') })
  const dear = await net.call('system.remark', '0x03').signAsync(cold, { nonce: 0, tip: 6n })
  await net.submit(dear.toHex())
  expect((await net.api.rpc.author.pendingExtrinsics()).map(({ hash }) => hash.toHex())).toEqual([dear.hash.toHex()])
  expect(await usurped.promise).toBe(dear.hash.toHex())
})

test('refuses an extrinsic larger than a block, and limits the bytes in the pool', async () => {
  await using net = await startNet(genesis(), SLOW)
  const remarkOf = (bytes: number) => net.call('system.remark', `0x${'00'.repeat(bytes)}`)
  expect(await net.refusal(remarkOf(4_000_000), cold)).toEqual(invalid('Transaction would exhaust the block limits'))
  for (let nonce = 0; nonce < 5; nonce++) {
    await net.submit((await remarkOf(3_900_000).signAsync(cold, { nonce })).toHex())
  }
  expect(await net.refusal(remarkOf(3_900_000), cold, { nonce: 5 })).toMatchObject({ code: 1016 })
  await net.submit((await remarkOf(1).signAsync(cold, { nonce: 5 })).toHex())
  await net.mine(1)
  await net.submit((await remarkOf(3_900_000).signAsync(cold, { nonce: 6 })).toHex())
})

test('refuses bytes that are not a signed extrinsic, with their own codes', async () => {
  await using net = await startNet()
  expect(await refusalOf(net.submit('0x'))).toMatchObject({ code: 1001 })
  expect(await refusalOf(net.submit('0xffff'))).toMatchObject({ code: 1001 })
  expect(await refusalOf(net.submit('0x080099'))).toMatchObject({ code: 1002 })
  const inherent = net.call('timestamp.set', 1).toHex()
  expect(await refusalOf(net.submit(inherent))).toMatchObject({ code: 1011 })
  const nested = await net.call('timestamp.set', 1).signAsync(cold)
  await net.submit(nested.toHex())
  const signedHead = await net.api.rpc.chain.getBlock()
  expect(signedHead.block.extrinsics).toHaveLength(2)
  const deep = Uint8Array.from({ length: 4000 }, (_, i) => [11, 0, 4][i % 3] as number)
  const bomb = u8aToHex(net.api.createType('Bytes', new Uint8Array([...signedPrefix(nested.toU8a()), ...deep])).toU8a())
  expect(await refusalOf(net.submit(bomb))).toMatchObject({ code: 1002 })
  expect(await net.include(net.call('system.remark', remark), cold)).toMatchObject({ error: null })
})

/** A signed extrinsic up to its call: version, address, signature, immortal-like extra. */
function signedPrefix(bytes: Uint8Array): Uint8Array {
  const extra = [0, 0, 0, 0]
  return new Uint8Array([...bytes.slice(2, 2 + 1 + 33 + 65), ...extra])
}

test('transfers balances with events, and respects the existential deposit', async () => {
  await using net = await startNet()
  const free = async (address: string) =>
    BigInt(((await net.read('system.account', address)) as { data: { free: number | string } }).data.free)
  const first = await net.include(net.call('balances.transferKeepAlive', stranger.address, 3n * TAO), cold)
  expect(first.events).toEqual([
    'balances.Withdraw',
    'system.NewAccount',
    'balances.Endowed',
    'balances.Transfer',
    'system.ExtrinsicSuccess',
  ])
  expect(await free(stranger.address)).toBe(3n * TAO)
  const call = net.call('balances.transferAllowDeath', stranger.address, TAO)
  const { partialFee } = await call.paymentInfo(cold)
  const before = await free(cold.address)
  await net.include(call, cold)
  expect(before - (await free(cold.address)) - TAO).toBe(partialFee.toBigInt())
  expect(await net.include(net.call('balances.transferKeepAlive', sudo.address, 4n * TAO), stranger)).toMatchObject({
    error: expect.stringContaining('FundsUnavailable'),
  })
  expect(await net.include(net.call('balances.transferKeepAlive', validator.address, 499), cold)).toMatchObject({
    error: expect.stringContaining('BelowMinimum'),
  })
  const last = await net.include(net.call('balances.transferAll', cold.address, false), stranger)
  expect(last.events).toContain('system.KilledAccount')
  expect(await net.read('system.account', stranger.address)).toMatchObject({ nonce: 0, data: { free: 0 } })
  const { call: paid } = { call: net.call('system.remark', remark) }
  expect(await net.refusal(paid, stranger)).toEqual(
    invalid('Inability to pay some fees (e.g. account balance too low)'),
  )
  expect(await net.include(net.call('balances.transferKeepAlive', cold.address, 98n * TAO), sudo)).toMatchObject({
    error: null,
  })
})

test('counts all balances and all stake as issuance', async () => {
  await using net = await startNet()
  const issued = async () => BigInt((await net.read('balances.totalIssuance')) as string | number)
  const held = async () => {
    const accounts = await net.api.query.system?.account?.entries()
    return accounts?.reduce(
      (sum, [, info]) => sum + (info as unknown as { data: { free: { toBigInt(): bigint } } }).data.free.toBigInt(),
      0n,
    )
  }
  expect(await held()).toBe(await issued())
  await net.include(net.call('balances.transferKeepAlive', stranger.address, TAO), cold)
  await net.include(net.call('balances.transferAllowDeath', cold.address, TAO - 126_000n), stranger)
  await net.include(net.call('subtensorModule.addStake', validator.address, NETUID, TAO), cold)
  await net.sudo(net.call('balances.forceSetBalance', stranger.address, 7n * TAO))
  expect(await held()).toBe(await issued())
})

test('batch stops at an error and keeps the calls before, batch_all keeps none, force_batch goes on', async () => {
  await using net = await startNet()
  const good = () => net.call('system.remarkWithEvent', remark)
  const bad = () => net.call('balances.transferKeepAlive', stranger.address, 1n << 60n)
  expect((await net.include(net.call('utility.batch', [good(), bad(), good()]), cold)).events.slice(1)).toEqual([
    'system.Remarked',
    'utility.ItemCompleted',
    'utility.BatchInterrupted',
    'system.ExtrinsicSuccess',
  ])
  const all = await net.include(net.call('utility.batchAll', [good(), bad()]), cold)
  expect(all.error).toContain('FundsUnavailable')
  expect(all.events).toEqual(['balances.Withdraw', 'system.ExtrinsicFailed'])
  expect((await net.include(net.call('utility.forceBatch', [bad(), good()]), cold)).events.slice(1)).toEqual([
    'utility.ItemFailed',
    'system.Remarked',
    'utility.ItemCompleted',
    'utility.BatchCompletedWithErrors',
    'system.ExtrinsicSuccess',
  ])
})

test('sudo changes its key, and calls on behalf of others', async () => {
  await using net = await startNet()
  const asCold = net.call('system.remarkWithEvent', remark)
  const done = await net.include(net.call('sudo.sudoAs', cold.address, asCold), sudo)
  expect(done.events).toContain('system.Remarked')
  expect(done.events).toContain('sudo.SudoAsDone')
  await net.include(net.call('sudo.setKey', cold.address), sudo)
  expect(await net.refusal(net.call('sudo.sudo', asCold), sudo)).toEqual(invalid('Invalid signing address'))
  const hidden = net.call('utility.batchAll', [net.call('sudo.sudo', asCold)])
  expect(await net.include(hidden, sudo)).toMatchObject({ error: 'RequireSudo' })
})

test('uses every nonce once with many clients', async () => {
  await using net = await startNet()
  await using twin = await connect(net.chain.url)
  const signed = await Promise.all(
    Array.from({ length: 30 }, (_, nonce) =>
      (nonce % 2 ? net : twin).call('system.remark', remark).signAsync(cold, { nonce }),
    ),
  )
  await Promise.all(signed.toReversed().map((extrinsic, i) => (i % 2 ? net : twin).submit(extrinsic.toHex())))
  await net.mine(1)
  expect((await net.read('system.account', cold.address)) as object).toMatchObject({ nonce: 30 })
  expect(blake2AsHex(signed[0]?.toU8a() as Uint8Array)).toBe(signed[0]?.hash.toHex())
})
