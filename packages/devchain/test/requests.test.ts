import { WsProvider } from '@polkadot/api'
import { u8aToHex } from '@polkadot/util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { httpProvider, type Net, refusalOf, startNet } from './client.ts'

/** The forms of requests that Substrate accepts and clients use. */

let net: Net
beforeAll(async () => {
  net = await startNet()
  await net.mine(1)
})
afterAll(() => net[Symbol.asyncDispose]())

/** Sends parameters as they are, by position or by name. */
const ask = (method: string, params: unknown) => httpProvider(net.chain).send(method, params as unknown[])

const ACCOUNTS = '0x26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9'
const NUMBER = '0x26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac'

describe('the alias of a method', () => {
  test.each([
    ['state_getStorage', 'state_getStorageAt', [NUMBER]],
    ['state_getStorageHash', 'state_getStorageHashAt', [NUMBER]],
    ['state_getStorageSize', 'state_getStorageSizeAt', [NUMBER]],
    ['state_getKeysPaged', 'state_getKeysPagedAt', [ACCOUNTS, 2]],
    ['state_call', 'state_callAt', ['Core_version', '0x']],
    ['state_getRuntimeVersion', 'chain_getRuntimeVersion', []],
    ['chain_getBlockHash', 'chain_getHead', []],
    ['chain_getFinalizedHead', 'chain_getFinalisedHead', []],
  ])('gives the same answer: %s, %s', async (name, other, params) => {
    const answer = await ask(name, params)
    expect(answer).not.toBeNull()
    expect(await ask(other, params)).toEqual(answer)
  })

  test.each([
    ['chain_subscribeFinalisedHeads', 'chain_finalizedHead', 'chain_unsubscribeFinalisedHeads'],
    ['chain_subscribeRuntimeVersion', 'state_runtimeVersion', 'chain_unsubscribeRuntimeVersion'],
  ])('subscribes and unsubscribes: %s', async (subscribe, notification, unsubscribe) => {
    const provider = new WsProvider(net.chain.url)
    await provider.isReady
    const { promise: first, resolve } = Promise.withResolvers<unknown>()
    const id = await provider.subscribe(notification, subscribe, [], (_, result) => resolve(result))
    expect(await first).toBeTypeOf('object')
    expect(await provider.unsubscribe(notification, unsubscribe, id)).toBe(true)
    await provider.disconnect()
  })

  test('is in the list of methods', async () => {
    expect(await ask('rpc_methods', [])).toMatchObject({ methods: expect.arrayContaining(['state_getStorageAt']) })
  })
})

describe('parameters by name', () => {
  test('have the same meaning as by position', async () => {
    const hash = await ask('chain_getBlockHash', [0])
    expect(await ask('chain_getBlockHash', { hash: 0 })).toBe(hash)
    expect(await ask('chain_getHeader', { hash })).toEqual(await ask('chain_getHeader', [hash]))
    expect(await ask('state_getStorage', { key: NUMBER })).toBe(await ask('state_getStorage', [NUMBER]))
    expect(await ask('state_call', { name: 'Core_version', bytes: '0x' })).toBe(
      await ask('state_call', ['Core_version', '0x']),
    )
    const account = u8aToHex(new Uint8Array(32).fill(7))
    expect(await ask('account_nextIndex', { account })).toBe(0)
  })

  test('may be left out, and may be in snake case or camel case', async () => {
    const [first, second] = (await ask('state_getKeysPaged', [ACCOUNTS, 2])) as string[]
    const hash = await ask('chain_getHead', [])
    expect(await ask('state_getKeysPaged', { prefix: ACCOUNTS, count: 1, hash })).toEqual([first])
    for (const name of ['start_key', 'startKey']) {
      expect(await ask('state_getKeysPaged', { prefix: ACCOUNTS, count: 1, [name]: first })).toEqual([second])
    }
    expect(await ask('chain_getHead', {})).toBe(hash)
  })

  test('are refused when the method does not have them', async () => {
    expect(await refusalOf(ask('chain_getHead', { hsh: '0x00' }))).toMatchObject({ code: -32_602 })
    expect(await refusalOf(ask('system_name', { hash: '0x00' }))).toMatchObject({ code: -32_602 })
    expect(await refusalOf(ask('state_getStorage', {}))).toMatchObject({ code: -32_602 })
  })
})

describe('hex without its 0x', () => {
  test('is read like hex with 0x', async () => {
    const hash = (await ask('chain_getHead', [])) as string
    const bare = (text: string) => text.slice(2)
    expect(await ask('state_getStorage', [bare(NUMBER), bare(hash)])).toBe(await ask('state_getStorage', [NUMBER]))
    expect(await ask('state_call', ['Core_version', '', bare(hash)])).toBe(
      await ask('state_call', ['Core_version', '0x']),
    )
    expect(await ask('state_queryStorageAt', [[bare(NUMBER)]])).toEqual(await ask('state_queryStorageAt', [[NUMBER]]))
  })

  test('is refused when it is not hex', async () => {
    expect(await refusalOf(ask('state_getStorage', ['0x0x']))).toMatchObject({ code: -32_602 })
    expect(await refusalOf(ask('state_getStorage', ['abc']))).toMatchObject({ code: -32_602 })
  })
})

describe('the metadata', () => {
  test('names the type of every field, which Python clients need for events and errors', () => {
    const fields = net.api.registry.metadata.lookup.types.flatMap(({ type: { def } }) => {
      if (def.isComposite) return [...def.asComposite.fields]
      return def.isVariant ? def.asVariant.variants.flatMap(variant => [...variant.fields]) : []
    })
    expect(fields.length).toBeGreaterThan(200)
    for (const { type, typeName } of fields) {
      expect(typeName.unwrapOrDefault().toString(), `a field of type ${type}`).not.toBe('')
    }
  })

  test('writes type names like the runtime', () => {
    const names = (event: string) =>
      net.api.events.subtensorModule?.[event]?.meta.fields.map(({ typeName }) => typeName.unwrap().toString())
    expect(names('AxonServed')).toEqual(['u16', 'AccountId32'])
    const args = net.api.tx.subtensorModule?.batchSetWeights?.meta.fields.map(one => one.typeName.unwrap().toString())
    expect(args).toEqual(['Vec<Compact<u16>>', 'Vec<Vec<(Compact<u16>, Compact<u16>)>>', 'Vec<Compact<u64>>'])
    const transfer = net.api.tx.balances?.transferKeepAlive?.meta.fields.map(one => one.typeName.unwrap().toString())
    expect(transfer).toEqual(['MultiAddress', 'u64'])
  })
})
