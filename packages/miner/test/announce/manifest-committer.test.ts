/** The manifest on the chain, with a real chain. */
import type { Chain } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { createLog, silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { minerKey, unknownKey } from '@horde/testing/peers/validator'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ManifestCommitter, type ManifestCommitterOptions } from '../../src/announce/manifest-committer.ts'
import { manifestFinding } from '../../src/operator/manifest-finding.ts'
import { ScriptedManager, startChain, startTestMiner } from '../harness.ts'

const NETUID = 1
/** Blocks of an epoch. A hotkey may commit 31 times in one. */
const TEMPO = 60
const COMMITS_AN_EPOCH = 31
const TOO_LONG = 'x'.repeat(125)

let stack: AsyncDisposableStack
let devchain: Devchain
let chain: Chain
let counts: { executor_class: string; count: number }[]
let lines: Record<string, unknown>[]
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  const neurons = [{ hotkey: minerKey().ss58, coldkey: minerKey().ss58 }]
  const genesis = {
    balances: {},
    sudo: hotkeyFromUri('//Alice').ss58,
    subnets: [{ netuid: NETUID, tempo: TEMPO, neurons }],
  }
  devchain = stack.use(await startDevchain({ blockMs: 'per-extrinsic', genesis }))
  chain = stack.use(await connectSubtensor({ endpoints: [devchain.url], log: silentLog }))
  counts = [
    { executor_class: 'spin_up-4min.gpu-24gb', count: 2 },
    { executor_class: 'always_on.gpu-24gb', count: 3 },
  ]
  lines = []
})
afterEach(() => stack.disposeAsync())

const log = () => createLog('miner', { destination: { write: line => void lines.push(JSON.parse(line)) } })
const logged = () => lines.map(({ level, msg }) => `${level}: ${msg}`)
const committer = (changes: Partial<ManifestCommitterOptions> = {}) =>
  new ManifestCommitter({ chain, netuid: NETUID, hotkey: minerKey(), manifest: () => counts, log: log(), ...changes })
const onChain = async () => (await chain.commitment(NETUID, minerKey().ss58))?.text
const commit = (text: string) => chain.setCommitment(NETUID, text, minerKey())

describe('the manifest on the chain', () => {
  it('is committed behind what the hotkey has committed, and again only after a change', async () => {
    await commit('mine')
    const first = committer()
    expect(first.state()).toEqual({
      committed: undefined,
      block: undefined,
      isCurrent: undefined,
      lastError: undefined,
    })
    await first.run()
    expect(await onChain()).toBe('mine<M:A3;S2>')
    const block = devchain.blockNumber()
    expect(first.state()).toEqual({ committed: 'A3;S2', block, isCurrent: true, lastError: undefined })
    await first.run()
    await committer().run()
    expect(devchain.blockNumber(), 'a restarted miner finds it there').toBe(block)

    counts = [{ executor_class: 'always_on.test', count: 1 }]
    expect(first.state()).toMatchObject({ committed: 'A3;S2', isCurrent: false })
    await first.run()
    expect(await onChain()).toBe('mine<M:T1>')
    expect(logged()).toEqual(Array(2).fill('info: manifest committed to the chain'))
  })

  it('is committed again when another program has replaced it', async () => {
    const one = committer()
    await one.run()
    await commit('other')
    await one.run()
    expect(await onChain()).toBe('other<M:A3;S2>')
  })

  it('waits for the next epoch when the hotkey has committed too much', async () => {
    for (let count = 0; count < COMMITS_AN_EPOCH; count += 1) await commit(`text ${count}`)
    const early = committer()
    for (const _ of [1, 2]) await early.run()
    expect(early.state()).toMatchObject({ isCurrent: false, lastError: expect.stringMatching(/^CommittingTooFast/) })
    expect(logged()).toEqual(['info: manifest waits: too much was committed lately'])
    for (let block = 0; block < TEMPO; block += 1) await devchain.mineBlock()
    await early.run()
    expect(early.state()).toMatchObject({ isCurrent: true, lastError: undefined })
  })

  it('leaves a commitment that has no room for it, and says so once', async () => {
    await commit(TOO_LONG)
    const one = committer()
    for (const _ of [1, 2]) await one.run()
    expect(await onChain()).toBe(TOO_LONG)
    expect(one.state().lastError).toMatch(/^the manifest does not fit behind the 125 bytes /)
    const nothing: typeof chain.commitment = async () => ({ text: null, block: 1 })
    await committer({ chain: { commitment: nothing, setCommitment: chain.setCommitment.bind(chain) } }).run()
    expect(await onChain()).toBe(TOO_LONG)
    expect(logged()).toEqual(Array(2).fill('error: manifest cannot be committed'))
  })

  it('reports a hotkey that is not registered', async () => {
    const one = committer({ hotkey: unknownKey() })
    await one.run()
    expect(one.state().lastError).toMatch(/^NotRegistered/)
    expect(logged()).toEqual(['error: manifest cannot be committed'])
  })

  it('tries again after an outage of the chain', async () => {
    let isAway = true
    const commitment: typeof chain.commitment = (netuid, hotkey) => {
      return isAway ? Promise.reject(new ChainError('Unavailable')) : chain.commitment(netuid, hotkey)
    }
    const one = committer({ chain: { commitment, setCommitment: chain.setCommitment.bind(chain) } })
    await expect(one.run()).rejects.toMatchObject({ code: 'Unavailable' })
    isAway = false
    await one.run()
    expect(await onChain()).toBe('<M:A3;S2>')
  })
})

it('is compared with the settings by check', async () => {
  const pool = { name: 'p', executorClass: 'always_on.test', count: 2, warm: 0, manager: 'docker', image: 'i' } as const
  const more = {
    program: 'compute-horde',
    folder: undefined,
    engine: { socket: '/s' },
    gpus: [],
    environment: {},
  } as const
  const pools = [{ ...pool, ...more, address: undefined }]
  const found = () => manifestFinding(chain, { netuid: NETUID, hotkey: minerKey().ss58, pools })
  expect(await found()).toMatchObject({ verdict: 'warn', found: 'the chain says nothing, the settings T2' })
  const { block } = await commit('<M:T2>')
  expect(await found()).toMatchObject({ verdict: 'ok', found: `the chain says T2 since block ${block}` })
  await commit('<M:T3>')
  expect(await found()).toMatchObject({ verdict: 'warn', found: 'the chain says T3, the settings T2' })
})

it('is committed by a miner with COMMIT_MANIFEST, and shown', async () => {
  await using network = await startChain()
  const clock = manualClock(Date.now())
  const env = { COMMIT_MANIFEST: 'true', EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '2' }
  const options = { chain: network.chain, chainUrl: network.url, manager: new ScriptedManager(), env, clock }
  await using miner = await startTestMiner({ ...options, isAwaited: false })
  const page = async (path: string) => (await fetch(`http://127.0.0.1:${miner.adminPort}${path}`)).text()
  const laterPage = async () => {
    await clock.advance(10_000)
    return page('/metrics')
  }
  await expect.poll(laterPage).toMatch(/^miner_manifest_committed 1$/m)
  expect(await network.chain.commitment(NETUID, minerKey().ss58)).toMatchObject({ text: '<M:T2>' })
  expect(JSON.parse(await page('/status.json')).miner.manifest).toEqual({
    ...{ committed: 'T2', block: expect.any(Number), isCurrent: true, error: null },
  })
  expect(await page('/status')).toMatch(/Manifest on the chain<.dt><dd>T2, block \d+</)
})
