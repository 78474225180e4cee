import { ApiPromise, HttpProvider, Keyring, WsProvider } from '@polkadot/api'
import type { SubmittableExtrinsic } from '@polkadot/api/types'
import type { KeyringPair } from '@polkadot/keyring/types'
import type { Codec } from '@polkadot/types/types'
import { cryptoWaitReady } from '@polkadot/util-crypto'
import { type Devchain, type DevchainOptions, startDevchain } from '../src/devchain.ts'
import type { Genesis } from '../src/genesis.ts'

await cryptoWaitReady()

export const TAO = 1_000_000_000n
const keyring = new Keyring({ type: 'sr25519', ss58Format: 42 })

export const account = (name: string): KeyringPair => keyring.addFromUri(`//${name}`)

/** Hotkeys on uids 0, 1, 2, the first two with permits. Cold owns them and has a balance. Sudo is the sudo key. */
export const [validator, second, miner] = ['Validator', 'Second', 'Miner'].map(account) as [
  KeyringPair,
  KeyringPair,
  KeyringPair,
]
export const cold = account('Cold')
export const sudo = account('Sudo')
export const stranger = account('Stranger')

export const NETUID = 1

type Subnet = NonNullable<Genesis['subnets']>[number]

/** One subnet without rate limits and with a long tempo, changed as a test needs it. */
export function genesis(subnet: Partial<Subnet> = {}, rest: Partial<Genesis> = {}): Genesis {
  const coldkey = cold.address
  return {
    balances: { [cold.address]: (10_000n * TAO).toString(), [sudo.address]: (100n * TAO).toString() },
    sudo: sudo.address,
    adminFreezeWindow: 0,
    subnets: [
      {
        netuid: NETUID,
        tempo: 100,
        neurons: [
          { hotkey: validator.address, coldkey, stake: Number(5000n * TAO) },
          { hotkey: second.address, coldkey, stake: Number(2000n * TAO) },
          { hotkey: miner.address, coldkey },
        ],
        ...subnet,
        hyperparameters: { WeightsSetRateLimit: 0, ServingRateLimit: 0, ...subnet.hyperparameters },
      },
    ],
    ...rest,
  }
}

type Extrinsic = SubmittableExtrinsic<'promise'>

interface Included {
  /** `section.method` of every event of the extrinsic. */
  events: string[]
  /** The name of the error when the block refused the call. */
  error: string | null
  block: string
}

export interface Refusal {
  code: number
  message: string
  data: unknown
}

/** The options of `signAsync` that the tests vary. */
interface SignOptions {
  nonce?: number
  era?: number
  tip?: bigint
  blockHash?: string
}

/** The refusal by Subtensor's own extension. */
export const custom = (code: number): Refusal => ({
  code: 1010,
  message: `1010: Invalid Transaction: {"invalid":{"custom":${code}}}`,
  data: { invalid: { custom: code } },
})

export interface Client extends AsyncDisposable {
  api: ApiPromise
  provider: WsProvider
  /** A call by `section.method`. */
  call(path: string, ...args: unknown[]): Extrinsic
  /** A storage item by `section.item`, as JSON. */
  read(path: string, ...keys: unknown[]): Promise<unknown>
  /** The name of a module error in an event. */
  errorName(moduleError: { index: number; error: string }): string
  /** Sends a call and waits until it is in a block. */
  include(extrinsic: Extrinsic, signer: KeyringPair, options?: SignOptions): Promise<Included>
  /** Sends a call that the pool must refuse. */
  refusal(extrinsic: Extrinsic, signer: KeyringPair, options?: SignOptions): Promise<Refusal>
  /** Sends signed bytes as they are. */
  submit(hex: string): Promise<string>
}

export async function connect(url: string): Promise<Client> {
  const provider = new WsProvider(url)
  const api = await ApiPromise.create({ provider: provider as never, noInitWarn: true })
  const submit = (hex: string) => provider.send<string>('author_submitExtrinsic', [hex])
  return {
    api,
    provider,
    call: (path, ...args) => member(api.tx as never, path)(...args) as Extrinsic,
    read: async (path, ...keys) => ((await member(api.query as never, path)(...keys)) as Codec).toJSON(),
    errorName: ({ index, error }) =>
      api.registry.findMetaError(new Uint8Array([index, Number(error.slice(0, 4))])).name,
    submit,
    include: (extrinsic, signer, options = {}) => include(api, extrinsic, signer, options),
    refusal: async (extrinsic, signer, options = {}) => {
      const signed = await extrinsic.signAsync(signer, options)
      return refusalOf(submit(signed.toHex()))
    },
    [Symbol.asyncDispose]: async () => {
      const gone = new Promise<void>(resolve => provider.on('disconnected', () => resolve()))
      await api.disconnect()
      await gone
    },
  }
}

type Members = Record<string, Record<string, (...args: unknown[]) => unknown>>

function member(members: Members, path: string): (...args: unknown[]) => unknown {
  const [section = '', name = ''] = path.split('.')
  const found = members[section]?.[name]
  if (!found) throw new Error(`the chain offers no ${path}`)
  return found
}

export async function refusalOf(sending: Promise<unknown>): Promise<Refusal> {
  const sent = await sending.then(
    result => ({ result }),
    (error: Refusal) => ({ error }),
  )
  if ('result' in sent) throw new Error(`it was accepted: ${JSON.stringify(sent.result)}`)
  const { code, message, data } = sent.error
  return { code, message, data }
}

function include(api: ApiPromise, extrinsic: Extrinsic, signer: KeyringPair, options: SignOptions): Promise<Included> {
  const { promise, resolve, reject } = Promise.withResolvers<Included>()
  const sending = extrinsic.signAndSend(signer, options, result => {
    if (result.isError) reject(new Error(`it ended as ${result.status.type}`))
    if (!result.isFinalized) return
    const failed = result.dispatchError
    resolve({
      events: result.events.map(({ event }) => `${event.section}.${event.method}`),
      error:
        failed === undefined
          ? null
          : failed.isModule
            ? api.registry.findMetaError(failed.asModule).name
            : failed.toString(),
      block: result.status.asFinalized.toHex(),
    })
  })
  sending.catch(reject)
  return promise
}

/** A chain that makes a block for each extrinsic, and a client connected to it. */
export interface Net extends Client {
  chain: Devchain
  /** Makes `count` empty blocks. */
  mine(count: number): Promise<void>
  sudo(call: Extrinsic): Promise<Included>
}

export async function startNet(start: Genesis = genesis(), options: Partial<DevchainOptions> = {}): Promise<Net> {
  const chain = await startDevchain({ blockMs: 'per-extrinsic', genesis: start, ...options })
  const client = await connect(chain.url)
  return {
    ...client,
    chain,
    mine: async count => {
      for (let i = 0; i < count; i++) await chain.mineBlock()
    },
    sudo: call => client.include(client.call('sudo.sudo', call), sudo),
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]()
      await chain[Symbol.asyncDispose]()
    },
  }
}

export function httpProvider(chain: Devchain): HttpProvider {
  return new HttpProvider(chain.url.replace('ws:', 'http:'))
}
