/** The address on the chain, with a real chain, and address services whose answers a test sets. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Chain } from '@horde/chain/chain'
import { neuronOf } from '@horde/chain/metagraph'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { createLog, silentLog } from '@horde/kit/log'
import { type ManualClock, manualClock } from '@horde/kit/time'
import { minerKey, unknownKey } from '@horde/testing/peers/validator'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addressToAnnounce, announce } from '../../src/announce/announce.ts'
import { Announcer, type AnnouncerOptions } from '../../src/announce/announcer.ts'
import { findAddress } from '../../src/announce/own-address.ts'

const NETUID = 1
/** Blocks that must lie between two announcements. */
const RATE_LIMIT = 8
const CHECK_EVERY_MS = 600_000
const signal = new AbortController().signal

let stack: AsyncDisposableStack
let devchain: Devchain
let chain: Chain
let clock: ManualClock
let lines: Record<string, unknown>[]

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  const neurons = [{ hotkey: minerKey().ss58, coldkey: minerKey().ss58 }]
  const subnets = [{ netuid: NETUID, neurons, hyperparameters: { ServingRateLimit: RATE_LIMIT } }]
  const genesis = { balances: {}, sudo: hotkeyFromUri('//Alice').ss58, subnets }
  devchain = stack.use(await startDevchain({ blockMs: 100, genesis }))
  chain = stack.use(await connectSubtensor({ endpoints: [devchain.url], log: silentLog, outageWaitMs: 50 }))
  clock = manualClock()
  lines = []
})
afterEach(() => stack.disposeAsync())

const log = () => createLog('miner', { destination: { write: line => void lines.push(JSON.parse(line)) } })
const messagesAt = (level: string) => lines.filter(line => line.level === level).map(({ msg }) => msg)

/** Starts a service that answers with `answer`, which a test may change. */
async function startService(answer: string) {
  const service = { answer, status: 200, url: '', asked: 0 }
  const server = createServer((_request, response) => {
    service.asked += 1
    response.writeHead(service.status).end(`${service.answer}\n`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  service.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return service
}

function announcer(changes: Partial<AnnouncerOptions> = {}): Announcer {
  return new Announcer({
    ...{ chain, netuid: NETUID, hotkey: minerKey(), port: 8091, given: '127.0.0.2', services: [] },
    ...{ checkEveryMs: CHECK_EVERY_MS, clock, log: log(), ...changes },
  })
}

async function onChain(): Promise<string | undefined> {
  const axon = neuronOf(await chain.metagraph(NETUID), minerKey().ss58)?.axon
  return axon ? `${axon.ip}:${axon.port}` : undefined
}

async function untilBlock(block: number): Promise<void> {
  await expect.poll(() => chain.blockNumber()).toBeGreaterThanOrEqual(block)
}

describe('announcing', () => {
  it('announces the address only when the chain has another one', async () => {
    const first = announcer()
    await first.run(signal)
    expect(await onChain()).toBe('127.0.0.2:8091')
    const block = first.state().announcedAtBlock
    expect(block).toBeTypeOf('number')
    await first.run(signal)
    await announcer().run(signal)
    expect(lines.filter(({ msg }) => msg === 'address announced on the chain')).toHaveLength(1)
    expect(first.state()).toEqual({
      address: '127.0.0.2',
      how: 'set as BITTENSOR_MINER_ADDRESS',
      announcedAtBlock: block,
      waitsForBlock: undefined,
      lastError: undefined,
    })
  })

  it('waits for the block that allows it, without provoking a refusal', async () => {
    const first = announcer()
    await first.run(signal)
    const block = first.state().announcedAtBlock ?? 0
    const moved = announcer({ port: 8092 })
    for (const _ of [1, 2]) await moved.run(signal)
    expect(moved.state()).toMatchObject({ announcedAtBlock: undefined, waitsForBlock: block + RATE_LIMIT })
    expect(await onChain()).toBe('127.0.0.2:8091')
    await untilBlock(block + RATE_LIMIT)
    await moved.run(signal)
    expect(await onChain()).toBe('127.0.0.2:8092')
    expect(moved.state()).toMatchObject({ waitsForBlock: undefined, lastError: undefined })
    expect(messagesAt('info').filter(msg => /waits/.test(String(msg)))).toHaveLength(1)
    expect(messagesAt('error')).toEqual([])
  })

  it.each(['127.0.0.1', '::1'])(
    'is refused at once, without waiting, for an address that the chain never accepts: %s',
    async ip => {
      await announcer().run(signal)
      const own = { chain, netuid: NETUID, hotkey: minerKey(), port: 8091, log: log() }
      await expect(announce({ ...own, ip })).rejects.toMatchObject({ code: 'InvalidIpAddress' })
    },
  )

  it('waits too when the chain refuses the same address, written differently, for its rate', async () => {
    const { block } = await chain.serveAxon(NETUID, { ip: '127.0.0.2', port: 8091, version: 6 }, minerKey())
    const outcome = await announce({
      chain,
      netuid: NETUID,
      hotkey: minerKey(),
      ip: '127.0.0.2',
      port: 8091,
      log: log(),
    })
    expect(outcome).toEqual({ waitsForBlock: (block ?? 0) + RATE_LIMIT })
  })

  it.each([
    [
      'an address that the chain never accepts',
      { given: '127.0.0.1' },
      /^InvalidIpAddress.*does not accept this ip address/,
    ],
    ['a hotkey that is not registered', { hotkey: unknownKey() }, /^NotRegistered.*is not registered on the subnet/],
  ])('%s is logged once and tried again', async (_name, changes, words) => {
    const refused = announcer(changes)
    for (const _ of [1, 2, 3]) await refused.run(signal)
    expect(refused.state().lastError).toMatch(words)
    expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
      { msg: 'address cannot be announced', why: expect.stringMatching(words) },
    ])
    expect(await onChain()).toBeUndefined()
  })

  it('keeps an outage of the chain as last error, and leaves logging to the loop', async () => {
    const lost = announcer()
    await devchain[Symbol.asyncDispose]()
    await expect(lost.run(signal)).rejects.toMatchObject({ code: 'Unavailable' })
    expect(lost.state().lastError).toMatch(/no connection to the chain/)
    expect(messagesAt('error')).toEqual([])
  })
})

describe('the address of auto', () => {
  const auto = { given: 'auto' }

  it('is the one that a service answers with, and a change of it is announced', async () => {
    const service = await startService('8.8.4.4')
    const mine = announcer({ ...auto, services: [service.url] })
    await mine.run(signal)
    expect(mine.state()).toMatchObject({ address: '8.8.4.4', how: `reported by ${service.url}` })
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: 'address to announce found',
        address: '8.8.4.4',
        how: `reported by ${service.url}`,
      }),
    )
    service.answer = '2606:4700::1111'
    await mine.run(signal)
    expect(service.asked).toBe(1)
    await clock.advance(CHECK_EVERY_MS)
    await untilBlock((mine.state().announcedAtBlock ?? 0) + RATE_LIMIT)
    await mine.run(signal)
    expect(service.asked).toBe(2)
    expect(await onChain()).toBe('2606:4700::1111:8091')
  })

  it('stays when no service answers any more', async () => {
    const service = await startService('8.8.4.4')
    const mine = announcer({ ...auto, services: [service.url] })
    await mine.run(signal)
    service.status = 500
    await clock.advance(CHECK_EVERY_MS)
    await mine.run(signal)
    expect(service.asked).toBe(2)
    expect(mine.state()).toMatchObject({ address: '8.8.4.4', lastError: undefined })
  })

  it.each([
    '10.1.2.3',
    '127.0.0.2',
    '192.168.0.7',
    '169.254.1.1',
    '100.64.0.1',
    '::1',
    'fd00::1',
    'fe80::1',
    'nonsense',
    '',
  ])('is not taken from a service that answers %j: the next one is asked', async answer => {
    const [wrong, right] = [await startService(answer), await startService('1.1.1.1')]
    const services = [wrong.url, 'http://127.0.0.1:1/', right.url]
    expect(await addressToAnnounce('auto', services, silentLog, signal)).toBe('1.1.1.1')
    expect(wrong.asked).toBe(1)
  })

  it('is an error, logged once, when it cannot be found, and nothing is announced', async () => {
    const service = await startService('10.1.2.3')
    const found = await findAddress('auto', [service.url], silentLog, signal).catch((error: Error) => error.message)
    // A machine with a public address of its own finds that one, which is no error.
    if (typeof found !== 'string') return expect(found).toMatchObject({ isSure: false })
    expect(found).toMatch(/no public address .*a private or reserved address/)
    const mine = announcer({ ...auto, services: [service.url] })
    for (const _ of [1, 2]) await mine.run(signal)
    expect(mine.state()).toMatchObject({ address: undefined, lastError: `${found}; set BITTENSOR_MINER_ADDRESS` })
    expect(messagesAt('error')).toEqual(['address cannot be announced'])
    expect(await onChain()).toBeUndefined()
  })
})
