import { ApiPromise } from '@polkadot/api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startDevchain } from '../src/devchain.ts'
import {
  cold,
  connect,
  genesis,
  httpProvider,
  miner,
  NETUID,
  type Net,
  second,
  startNet,
  TAO,
  validator,
} from './client.ts'

/** Waits for `count` values. */
function gather<T>(count: number) {
  const values: T[] = []
  const { promise, resolve } = Promise.withResolvers<T[]>()
  return {
    promise,
    push: (value: T) => {
      values.push(value)
      if (values.length === count) resolve(values)
    },
  }
}

describe('an unmodified client', () => {
  let net: Net
  beforeAll(async () => {
    net = await startNet()
  })
  afterAll(() => net[Symbol.asyncDispose]())

  test('finds the expected runtime', () => {
    const { api } = net
    expect(api.runtimeVersion).toMatchObject({ specName: expect.anything() })
    expect(api.runtimeVersion.specVersion.toNumber()).toBe(425)
    expect([api.registry.chainSS58, api.registry.chainDecimals, api.registry.chainTokens]).toEqual([42, [9], ['TAO']])
    expect(api.runtimeMetadata.version).toBe(14)
    expect(api.extrinsicVersion).toBe(4)
    const pallets = api.runtimeMetadata.asLatest.pallets.map(({ name, index }) => [name.toString(), index.toNumber()])
    expect(pallets).toEqual([
      ['System', 0],
      ['Timestamp', 2],
      ['Balances', 5],
      ['SubtensorModule', 7],
      ['Utility', 11],
      ['Sudo', 12],
      ['Commitments', 18],
      ['AdminUtils', 19],
      ['Drand', 26],
    ])
    expect(api.consts.system?.ss58Prefix?.toJSON()).toBe(42)
  })

  test('finds the signed extensions of the later era', () => {
    expect(net.api.registry.signedExtensions).toEqual([
      'CheckNonZeroSender',
      'CheckSpecVersion',
      'CheckTxVersion',
      'CheckGenesis',
      'CheckMortality',
      'CheckNonce',
      'CheckWeight',
      'ChargeTransactionPayment',
      'SudoTransactionExtension',
      'SubtensorTransactionExtension',
      'DrandPriority',
      'CheckMetadataHash',
    ])
  })

  test('finds each call at its index', () => {
    const wanted: [string, [number, number]][] = [
      ['subtensorModule.setWeights', [7, 0]],
      ['subtensorModule.addStake', [7, 2]],
      ['subtensorModule.serveAxon', [7, 4]],
      ['subtensorModule.servePrometheus', [7, 5]],
      ['subtensorModule.burnedRegister', [7, 7]],
      ['subtensorModule.serveAxonTls', [7, 40]],
      ['subtensorModule.registerNetwork', [7, 59]],
      ['subtensorModule.commitWeights', [7, 96]],
      ['subtensorModule.revealWeights', [7, 97]],
      ['adminUtils.sudoSetTempo', [19, 30]],
      ['utility.batchAll', [11, 2]],
      ['sudo.sudo', [12, 0]],
    ]
    for (const [path, index] of wanted) {
      const [section = '', name = ''] = path.split('.')
      expect([...(net.api.tx[section]?.[name]?.callIndex ?? [])], path).toEqual(index)
    }
    const args = net.api.tx.subtensorModule?.serveAxon?.meta.args.map(({ name, type }) => `${name} ${type}`)
    expect(args).toEqual([
      'netuid u16',
      'version u32',
      'ip u128',
      'port u16',
      'ipType u8',
      'protocol u8',
      'placeholder1 u8',
      'placeholder2 u8',
    ])
  })

  test('reads every storage item by name and lists every map', async () => {
    let items = 0
    for (const [section, members] of Object.entries(net.api.query)) {
      for (const [name, query] of Object.entries(members)) {
        if (section === 'substrate') continue
        const keys = query.creator.meta.type.isMap ? await query.entries() : [await query()]
        expect(keys, `${section}.${name}`).toBeInstanceOf(Array)
        items++
      }
    }
    expect(items).toBeGreaterThan(80)
  })

  test.each([
    ['tempo', 'u16', ['Identity']],
    ['keys', 'AccountId32', ['Identity', 'Identity']],
    ['uids', 'Option<u16>', ['Identity', 'Blake2_128Concat']],
    ['axons', 'Option<PalletSubtensorAxonInfo>', ['Identity', 'Blake2_128Concat']],
    ['weights', 'Vec<(u16,u16)>', ['Identity', 'Identity']],
    ['lastUpdate', 'Vec<u64>', ['Identity']],
    ['owner', 'AccountId32', ['Blake2_128Concat']],
    ['totalHotkeyAlpha', 'u64', ['Blake2_128Concat', 'Identity']],
    ['alphaV2', 'SharePoolSafeFloat', ['Blake2_128Concat', 'Blake2_128Concat', 'Identity']],
    ['weightCommits', 'Option<Vec<(H256,u64,u64,u64)>>', ['Twox64Concat', 'Twox64Concat']],
    ['revealPeriodEpochs', 'u64', ['Twox64Concat']],
  ])('%s is %s', (name, type, hashers) => {
    const { meta } = net.api.query.subtensorModule?.[name]?.creator ?? {}
    const { lookupName, type: shown } = net.api.registry.lookup.getTypeDef(meta?.type.asMap.value as never)
    expect(lookupName ?? shown).toBe(type.replace(/^Option<(.*)>$/, '$1'))
    expect(meta?.modifier.isOptional).toBe(type.startsWith('Option'))
    expect(meta?.type.asMap.hashers.map(String)).toEqual(hashers)
  })

  test('does not find items of the older era', () => {
    for (const name of ['totalHotkeyStake', 'stake', 'rank', 'trust', 'pruningScores']) {
      expect(net.api.query.subtensorModule?.[name], name).toBeUndefined()
    }
    expect(net.api.tx.adminUtils?.sudoSetMaxWeightLimit).toBeUndefined()
  })

  test('reads the metagraph of the genesis', async () => {
    const multi = await net.api.queryMulti(
      [0, 1, 2].map(uid => [net.api.query.subtensorModule?.keys as never, [NETUID, uid]]),
    )
    expect(multi.map(String)).toEqual([validator.address, second.address, miner.address])
    expect(await net.read('subtensorModule.validatorPermit', NETUID)).toEqual([true, true, false])
    expect(await net.read('subtensorModule.totalHotkeyAlpha', validator.address, NETUID)).toBe(Number(5000n * TAO))
    expect(await net.read('subtensorModule.owner', miner.address)).toBe(cold.address)
    expect(await net.read('subtensorModule.uids', NETUID, miner.address)).toBe(2)
    expect(await net.read('subtensorModule.uids', NETUID, cold.address)).toBe(null)
    expect(await net.read('subtensorModule.active', NETUID)).toEqual([true, true, true])
  })

  test('gets prices and nonces through the runtime', async () => {
    const { api } = net
    expect((await api.call.accountNonceApi?.accountNonce?.(cold.address))?.toJSON()).toBe(0)
    const info = await net.call('balances.transferKeepAlive', miner.address, 1).paymentInfo(cold)
    expect(info.partialFee.toNumber()).toBeGreaterThan(125_000)
    expect((await api.call.transactionPaymentApi?.queryLengthToFee?.(77))?.toJSON()).toBe(77)
    const free = await net.call('subtensorModule.setWeights', NETUID, [1], [1], 0).paymentInfo(validator)
    expect(free.partialFee.toNumber()).toBe(0)
  })
})

test('serves heads, storage changes and past states', async () => {
  await using net = await startNet()
  const { api } = net
  const heads = gather<number>(3)
  const finalized = gather<number>(3)
  const tempos = gather<unknown>(2)
  const stops = await Promise.all([
    api.rpc.chain.subscribeNewHeads(({ number }) => heads.push(number.toNumber())),
    api.rpc.chain.subscribeFinalizedHeads(({ number }) => finalized.push(number.toNumber())),
    api.query.subtensorModule?.tempo?.(NETUID, ((tempo: { toJSON(): unknown }) =>
      tempos.push(tempo.toJSON())) as never),
  ])
  await net.mine(1)
  await net.sudo(net.call('adminUtils.sudoSetTempo', NETUID, 33))
  expect(await heads.promise).toEqual([0, 1, 2])
  expect(await finalized.promise).toEqual([0, 1, 2])
  expect(await tempos.promise).toEqual([100, 33])
  for (const stop of stops) (stop as unknown as () => void)()

  const [zero, one, two] = await Promise.all([0, 1, 2].map(number => api.rpc.chain.getBlockHash(number)))
  const tempoAt = async (hash: typeof zero) =>
    (await (await api.at(hash ?? '')).query.subtensorModule?.tempo?.(NETUID))?.toJSON()
  expect([await tempoAt(one), await tempoAt(two), await tempoAt(zero)]).toEqual([100, 33, 100])
  const header = await api.rpc.chain.getHeader(two)
  expect(header.hash.toHex()).toBe(two?.toHex())
  expect(header.parentHash.toHex()).toBe(one?.toHex())
  const { block } = await api.rpc.chain.getBlock(two)
  expect(block.extrinsics.map(({ method }) => `${method.section}.${method.method}`)).toEqual([
    'timestamp.set',
    'sudo.sudo',
  ])
  expect((await api.rpc.chain.getBlockHash(99)).isEmpty).toBe(true)
})

test('serves two clients, and goes on when one disconnects', async () => {
  await using net = await startNet()
  const twin = await connect(net.chain.url)
  const seen = gather<string>(2)
  await twin.api.rpc.chain.subscribeNewHeads(header => seen.push(header.hash.toHex()))
  await net.include(net.call('subtensorModule.setWeights', NETUID, [1], [1], 0), validator)
  expect((await seen.promise)[1]).toBe((await net.api.rpc.chain.getBlockHash()).toHex())
  expect(await twin.read('subtensorModule.weights', NETUID, 0)).toEqual([[1, 65535]])
  await twin[Symbol.asyncDispose]()
  await net.mine(3)
  expect((await net.api.rpc.chain.getHeader()).number.toNumber()).toBe(4)
})

test('answers plain HTTP on the same port', async () => {
  await using chain = await startDevchain({ blockMs: 'per-extrinsic', genesis: genesis() })
  const api = await ApiPromise.create({ provider: httpProvider(chain) as never, noInitWarn: true })
  expect((await api.query.subtensorModule?.subnetworkN?.(NETUID))?.toJSON()).toBe(3)
  const post = async (body: string) => {
    const response = await fetch(chain.url.replace('ws:', 'http:'), { method: 'POST', body })
    return { status: response.status, body: response.status === 200 ? await response.json() : null }
  }
  const watch = { jsonrpc: '2.0', id: 1, method: 'chain_subscribeNewHeads', params: [] }
  expect((await post(JSON.stringify(watch))).body).toMatchObject({ error: { code: -32601 } })
  expect((await post('{')).body).toMatchObject({ id: null, error: { code: -32700 } })
  expect(await post('x'.repeat(16 * 1024 * 1024))).toMatchObject({ status: 413 })
  expect((await fetch(chain.url.replace('ws:', 'http:'))).status).toBe(405)
})

test('makes blocks at the pace of the chain', async () => {
  await using chain = await startDevchain({ blockMs: 20, genesis: genesis() })
  await using client = await connect(chain.url)
  const heads = gather<number>(4)
  await client.api.rpc.chain.subscribeNewHeads(({ number }) => heads.push(number.toNumber()))
  const [first = 0, ...rest] = await heads.promise
  expect(rest).toEqual([first + 1, first + 2, first + 3])
  const now = (await client.read('timestamp.now')) as number
  expect(Math.abs(Date.now() - now)).toBeLessThan(10_000)
})

describe('hostile requests', () => {
  let net: Net
  beforeAll(async () => {
    net = await startNet()
  })
  afterAll(() => net[Symbol.asyncDispose]())

  async function ask(frame: string | Uint8Array): Promise<unknown> {
    const socket = new WebSocket(net.chain.url)
    const { promise, resolve } = Promise.withResolvers<unknown>()
    socket.on('open', () => socket.send(frame))
    socket.on('message', data => resolve(JSON.parse(data.toString())))
    socket.on('close', code => resolve({ closed: code }))
    socket.on('error', () => {})
    const answer = await promise
    socket.terminate()
    return answer
  }
  const request = (method: string, ...params: unknown[]) => JSON.stringify({ jsonrpc: '2.0', id: 7, method, params })
  const failed = (code: number, id: unknown = 7) =>
    expect.objectContaining({ id, error: expect.objectContaining({ code }) })

  test.each([
    ['{"jsonrpc":', failed(-32700, null)],
    ['', failed(-32700, null)],
    ['null', failed(-32600, null)],
    ['[]', failed(-32600, null)],
    ['{"id":7}', failed(-32600)],
    ['{"id":{},"method":"system_name"}', failed(-32600, null)],
    [request('no_such'), failed(-32601)],
    [request('__proto__'), failed(-32601)],
    [request('toString'), failed(-32601)],
    [request('system_name', 1), failed(-32602)],
    [request('chain_getBlockHash', 'x'), failed(-32602)],
    [request('chain_getBlockHash', -1), failed(-32602)],
    [request('chain_getHeader', '0x12'), failed(-32602)],
    [request('state_getStorage'), failed(-32602)],
    [request('state_getStorage', 'zz'), failed(-32602)],
    [request('state_getStorage', '0x123'), failed(-32602)],
    [request('state_getKeysPaged', '0x', 1e9), failed(-32602)],
    [request('system_accountNextIndex', 'no address'), failed(-32602)],
    [request('author_submitExtrinsic', 5), failed(-32602)],
    [request('state_call', 'AccountNonceApi_account_nonce', '0x00'), failed(-32602)],
    [request('state_call', 'constructor', '0x'), failed(4003)],
    [request('state_call', 'TransactionPaymentApi_query_info', '0x01'), failed(1001)],
    [request('payment_queryInfo', '0x0800ff'), failed(1002)],
    [request('state_getStorage', '0x00', `0x${'12'.repeat(32)}`), failed(4003)],
    [JSON.stringify({ id: 7, method: 'system_name', params: { a: 1 } }), failed(-32602)],
  ])('%s', async (frame, answer) => {
    expect(await ask(frame)).toEqual(answer)
  })

  test('get an answer for each item of a batch', async () => {
    const batch = `[${request('system_name')},${request('no_such')},{"method":"system_name"},3]`
    expect(await ask(batch)).toEqual([
      { jsonrpc: '2.0', id: 7, result: 'Subtensor devchain' },
      failed(-32601),
      failed(-32600, null),
    ])
  })

  test('close only their own connection when a frame is too large', async () => {
    expect(await ask(request('system_name', 'x'.repeat(16 * 1024 * 1024)))).toEqual({ closed: 1009 })
    expect(await ask(new Uint8Array([0xff, 0xfe, 0x00]))).toEqual(failed(-32700, null))
    expect((await net.api.rpc.system.name()).toString()).toBe('Subtensor devchain')
  })
})
