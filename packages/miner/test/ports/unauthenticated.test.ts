/** What unauthenticated peers may cost on both ports: connections, bytes, frames and time. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connectExecutor } from '@horde/testing/peers/executor'
import {
  connectRaw,
  messagesIn,
  pieces,
  pingFrame,
  type RawPeer,
  textFrame,
  upgradeRaw,
  upgradeRequest,
} from '@horde/testing/peers/raw-validator'
import { authentication, connectValidator, unknownKey, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf } from '../messages.ts'

const UNKNOWN = 8
const UNKNOWN_PER_ADDRESS = 4
const MANY = 20

let stack: AsyncDisposableStack
let start: (env?: Record<string, string>) => Promise<TestMiner>
let miner: TestMiner
const manager = new ScriptedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  start = async env => {
    const limits = {
      EXECUTOR_CLASS: 'always_on.test',
      AUTHENTICATE_SECONDS: '30',
      MAX_UNKNOWN_CONNECTIONS: String(UNKNOWN),
      MAX_UNKNOWN_CONNECTIONS_PER_ADDRESS: String(UNKNOWN_PER_ADDRESS),
    }
    return startTestMiner({ chain, chainUrl, manager, env: { ...limits, ...env } })
  }
  miner = stack.use(await start())
})
afterAll(() => stack.disposeAsync())

const offer = (uuid: string = randomUUID()) => offerOf(uuid, { base_docker_image_name: null })

/** Returns the peers that are still connected, once no more are cut. */
async function survivors(peers: readonly RawPeer[], expected: number): Promise<RawPeer[]> {
  await expect.poll(() => peers.filter(peer => !peer.destroyed).length).toBe(expected)
  return peers.filter(peer => !peer.destroyed)
}

async function connectMany(port: number, addresses: readonly string[]): Promise<RawPeer[]> {
  const peers: RawPeer[] = []
  for (const address of addresses) peers.push(await connectRaw(port, address))
  return peers
}

const leave = async (peers: readonly RawPeer[]) => {
  for (const peer of peers) peer.destroy()
  await Promise.all(peers.map(({ ended }) => ended))
}

/** Expects an error and nothing else. Hangs up after it: the miner waits seconds for a peer that does not. */
async function hangUpAfterError(peer: RawPeer): Promise<void> {
  await expect.poll(() => messagesIn(peer.got())).toMatchObject([{ message_type: 'GenericError' }])
  peer.end()
  await peer.ended
  expect(messagesIn(peer.got())).toMatchObject([{ message_type: 'GenericError' }])
}

describe('unauthenticated connections', () => {
  it('are limited for one address: the latest stay, whether they ask for a WebSocket or not', async () => {
    const mute = await connectMany(miner.port, Array(MANY).fill('127.0.0.9'))
    const left = await survivors(mute, UNKNOWN_PER_ADDRESS)
    expect(left).toEqual(mute.slice(-UNKNOWN_PER_ADDRESS))
    const asking = await Promise.all(
      Array.from({ length: MANY }, () => upgradeRaw(miner.port, validatorKey().ss58, '127.0.0.9')),
    )
    await survivors([...mute, ...asking], UNKNOWN_PER_ADDRESS)
    await leave(asking)
  })

  it('lock out no peer of another address, new or waiting', async () => {
    const waiting = await upgradeRaw(miner.port, validatorKey().ss58, '127.0.0.2')
    const peers = await connectMany(miner.port, Array(MANY).fill('127.0.0.9'))
    await using peer = await connectValidator(miner, validatorKey(), ['manifest'])
    expect(await peer.next()).toMatchObject({ message_type: 'V0ExecutorManifestRequest' })
    await survivors(peers, UNKNOWN_PER_ADDRESS)
    waiting.write(textFrame(authentication(validatorKey(), {}, ['manifest'])))
    await expect.poll(() => messagesIn(waiting.got())).toMatchObject([{ message_type: 'V0ExecutorManifestRequest' }])
    await leave([...peers, waiting])
  })

  it('are limited in all: the address with the most loses its oldest', async () => {
    const waiting = await upgradeRaw(miner.port, validatorKey().ss58, '127.0.0.2')
    const addresses = ['127.0.0.5', '127.0.0.6', '127.0.0.7'].flatMap(address =>
      Array(UNKNOWN_PER_ADDRESS).fill(address),
    )
    const peers = await connectMany(miner.port, addresses)
    await survivors([waiting, ...peers], UNKNOWN)
    expect(waiting.destroyed).toBe(false)
    await leave([...peers, waiting])
  })

  it('no longer count once they are authenticated', async () => {
    const known = []
    for (let index = 0; index < 2 * UNKNOWN; index += 1) {
      known.push(await connectValidator(miner, validatorKey(), ['manifest']))
      await known[index]?.next()
    }
    expect(known.filter(({ isOpen }) => isOpen)).toHaveLength(2 * UNKNOWN)
    await Promise.all(known.map(peer => peer.close()))
  })

  it('have a deadline for the whole request, and another to authenticate', async () => {
    await using hasty = await start({ AUTHENTICATE_SECONDS: '1' })
    const mute = await connectRaw(hasty.port)
    const slow = await connectRaw(hasty.port)
    slow.write(upgradeRequest('/v0.1/validator_interface/x').slice(0, 40))
    await Promise.all([mute.ended, slow.ended])
    expect(slow.got().toString()).toMatch(/^(HTTP\/1.1 408|$)/)
    const silent = await upgradeRaw(hasty.port, validatorKey().ss58)
    await hangUpAfterError(silent)
  })
})

describe('before the authentication', () => {
  it('accepts eight frames of any kind', async () => {
    const peer = await upgradeRaw(miner.port, validatorKey().ss58)
    const message = authentication(validatorKey(), {}, ['manifest'])
    for (const piece of [...pieces(message, 7).slice(0, 6), pingFrame(), pieces(message, 7)[6] as Buffer]) {
      const pongs = peer.got().length
      peer.write(piece)
      if (piece.length < 10) await expect.poll(() => peer.got().length).toBeGreaterThan(pongs)
    }
    await expect.poll(() => messagesIn(peer.got())).toMatchObject([{ message_type: 'V0ExecutorManifestRequest' }])
    peer.destroy()
  })

  it.each([
    ['pings', Array.from({ length: 9 }, pingFrame)],
    ['pieces of a message', pieces(authentication(validatorKey()), 20).slice(0, 9)],
  ])('closes the connection at a ninth one: %s', async (_name, frames) => {
    const peer = await upgradeRaw(miner.port, validatorKey().ss58)
    peer.write(Buffer.concat(frames))
    await peer.ended
    expect(messagesIn(peer.got())).toEqual([])
  })

  it('compresses nothing, even when asked', async () => {
    const peer = await connectRaw(miner.port)
    const extensions = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'
    peer.write(upgradeRequest(`/v0.1/validator_interface/${validatorKey().ss58}`, [extensions]))
    await once(peer, 'data')
    expect(peer.got().toString()).toMatch(/^HTTP\/1.1 101 /)
    expect(peer.got().toString()).not.toMatch(/extensions/i)
    peer.destroy()
  })
})

describe('a peer that sends everything at once', () => {
  const offers = () => Array.from({ length: 50 }, () => offer())

  it('gets all its answers when it is a validator', async () => {
    const peer = await upgradeRaw(miner.port, validatorKey().ss58)
    const sent = offers()
    peer.write(Buffer.concat([authentication(validatorKey()), ...sent].map(textFrame)))
    await expect.poll(() => messagesIn(peer.got())).toHaveLength(sent.length)
    const [first, ...others] = messagesIn(peer.got())
    expect(first).toEqual({ message_type: 'V0AcceptJobRequest', job_uuid: sent[0]?.job_uuid })
    expect(new Set(others.map(({ message_type }) => message_type))).toEqual(new Set(['V0DeclineJobRequest']))
    manager.exit((await manager.order()).token)
    await expect.poll(() => messagesIn(peer.got()).at(-1)).toMatchObject({ message_type: 'V0ExecutorFailedRequest' })
    peer.destroy()
  })

  it.each([
    ['an unknown hotkey', () => authentication(unknownKey()), unknownKey],
    ['a forger', () => authentication(unknownKey(), { validator_hotkey: validatorKey().ss58 }), validatorKey],
  ])('%s gets nothing done', async (_name, message, dialled) => {
    const peer = await upgradeRaw(miner.port, dialled().ss58)
    const sent = offers()
    peer.write(Buffer.concat([message(), ...sent].map(textFrame)))
    await hangUpAfterError(peer)
    for (const { job_uuid } of sent) {
      for (const key of [validatorKey(), unknownKey()])
        expect(await findJob(miner.db, key.ss58, job_uuid)).toBeUndefined()
    }
  })
})

it("limits the executors' port too, and a peers there keeps no executor out", async () => {
  await using apart = await start({ PORT_FOR_EXECUTORS: '0' })
  await using validator = await connectValidator(apart)
  await validator.send(offer())
  await validator.next()
  const order = await manager.order()
  const port = Number(new URL(order.minerAddress).port)
  expect(port).not.toBe(apart.port)
  const peers = await connectMany(port, Array(MANY).fill('127.0.0.1'))
  await survivors(peers, UNKNOWN)
  const executor = await connectExecutor(order, manager)
  expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest' })
  await leave(peers)
  await executor.close()
  manager.exit(order.token)
  expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorFailedRequest' })
})
