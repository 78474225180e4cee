/** How validators of v2026 connect to the miner's port, beside those of v0. */

import { once } from 'node:events'
import { connectRaw, upgradeRequest } from '@horde/testing/peers/raw-validator'
import {
  authentication2026,
  connectValidator2026,
  dialMiner2026,
  type ValidatorPeer2026,
} from '@horde/testing/peers/v2026/validator'
import {
  connectValidator,
  dialMiner,
  minerKey,
  secondValidatorKey,
  unknownKey,
  validatorKey,
} from '@horde/testing/peers/validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Started, startMiner2026 } from './started.ts'

const MANIFEST = { message_type: 'V0ExecutorManifestRequest', manifest: { 'always_on.test': 2 } }
const QUESTION = { message_type: 'V0MainHotkeyMessage', main_hotkey: null }
const ANSWER = { ...QUESTION, main_hotkey: minerKey().ss58 }

let started: Started
beforeAll(async () => {
  started = await startMiner2026({ env: { BANNED_VALIDATORS: secondValidatorKey().ss58 } })
})
afterAll(() => started[Symbol.asyncDispose]())

const now = () => Math.floor(Date.now() / 1000)

it('answers with the manifest as a map, and then with its main hotkey', async () => {
  await using peer = await dialMiner2026(started.miner)
  await peer.send(authentication2026())
  expect(await peer.next()).toEqual(MANIFEST)
  await peer.send(QUESTION)
  expect(await peer.next()).toEqual(ANSWER)
})

it('handles what came before the authentication behind it', async () => {
  await using peer = await dialMiner2026(started.miner)
  await peer.send(QUESTION)
  await peer.send(authentication2026())
  expect(await peer.next()).toEqual(MANIFEST)
  expect(await peer.next()).toEqual(ANSWER)
})

// They run at once, because each waits some seconds for the close of its connection.
describe.concurrent('refuses', () => {
  /** Returns the words of the only message. The close comes some seconds later, or a Python validator dials at once. */
  async function refusal(peer: ValidatorPeer2026): Promise<string> {
    const error = await peer.next()
    expect(error.message_type).toBe('GenericError')
    expect(peer.isOpen).toBe(true)
    expect((await peer.closed).code).toBe(1000)
    return error.message_type === 'GenericError' ? (error.details ?? '') : ''
  }

  it.each([
    ['an unknown hotkey', unknownKey(), {}, /Unknown validator/],
    ['a banned validator', secondValidatorKey(), {}, /Unknown validator/],
    ['a neuron that is no validator', minerKey(), {}, /Inactive validator/],
    ['another miner', validatorKey(), { miner_hotkey: unknownKey().ss58 }, /miner hotkey/],
    ['another validator', validatorKey(), { validator_hotkey: unknownKey().ss58 }, /URL/],
    ['an old timestamp', validatorKey(), { timestamp: now() - 3_600 }, /s off/],
    ['a timestamp far ahead', validatorKey(), { timestamp: now() + 3_600 }, /s off/],
  ])('%s', async (_, key, changes, words) => {
    const peer = await dialMiner2026(started.miner, key)
    await peer.send(authentication2026(key, changes)).catch(() => {})
    expect(await refusal(peer)).toMatch(words)
  })

  it("another key's signature, and a signature that was used before", async () => {
    const forged = await dialMiner2026(started.miner)
    await forged.send(authentication2026(unknownKey(), { validator_hotkey: validatorKey().ss58 }))
    expect(await refusal(forged)).toBe('The signature does not verify')
    const message = authentication2026()
    await using first = await dialMiner2026(started.miner)
    await first.send(message)
    await first.next()
    const second = await dialMiner2026(started.miner)
    await second.send(message)
    expect(await refusal(second)).toBe('The signature was used before')
  })
})

describe('a second authentication on one connection', () => {
  it('is answered by the manifest when it is good', async () => {
    await using peer = await connectValidator2026(started.miner)
    await peer.send(authentication2026())
    expect(await peer.next()).toEqual(MANIFEST)
  })

  it('is refused when it is bad, and the connection goes on', async () => {
    await using peer = await connectValidator2026(started.miner)
    await peer.send(authentication2026(unknownKey(), { validator_hotkey: validatorKey().ss58 }))
    expect(await peer.next()).toMatchObject({ message_type: 'GenericError', details: 'The signature does not verify' })
    await peer.send(QUESTION)
    expect(await peer.next()).toEqual(ANSWER)
  })
})

describe.concurrent('a first frame that belongs to neither', () => {
  it.each([
    ['work', { message_type: 'V0JobRequest' }],
    ['an error', { message_type: 'GenericError', details: 'x' }],
    ['an unknown type', { message_type: 'V9AuthenticateRequest' }],
    ['no object', 'x'],
    ['the authentication of 2026 without its fields', { message_type: 'ValidatorAuthForMiner' }],
  ])('%s is refused', async (_, frame) => {
    const peer = await dialMiner2026(started.miner)
    await peer.send(frame as object)
    expect(await peer.next()).toMatchObject({ message_type: 'GenericError' })
    expect((await peer.closed).code).toBe(1000)
  })

  it('the first authentication decides, and one of the other year is an error', async () => {
    await using peer = await connectValidator2026(started.miner)
    await peer.send({ message_type: 'V0AuthenticateRequest', payload: {}, signature: '0x' })
    expect(await peer.next()).toMatchObject({ message_type: 'GenericError' })
    await using old = await connectValidator(started.miner, validatorKey(), ['manifest'])
    expect(await old.next()).toMatchObject({ manifest: { executor_classes: [{ executor_class: 'always_on.test' }] } })
    await old.send(authentication2026() as never)
    expect(await old.next()).toMatchObject({ message_type: 'GenericError' })
  })
})

describe('capabilities in the answer to the upgrade', () => {
  async function headOf(headers: string[]): Promise<string> {
    const peer = await connectRaw(started.miner.port)
    peer.write(upgradeRequest(`/v0.1/validator_interface/${validatorKey().ss58}`, headers))
    await once(peer, 'data')
    peer.destroy()
    return peer.got().toString()
  }

  it('are said to a peer that says its own', async () => {
    expect(await headOf(['X-Horde-Capabilities: 2026'])).toContain('\r\nX-Horde-Capabilities: 2026, large-frames\r\n')
  })

  it('are not said to others', async () => {
    expect(await headOf([])).not.toContain('Capabilities')
  })
})

it('shows the dialect of each validator', async () => {
  await using _ = await connectValidator2026(started.miner)
  await using old = await dialMiner(started.miner, validatorKey().ss58)
  const text = await (await fetch(`http://127.0.0.1:${started.miner.adminPort}/metrics`)).text()
  expect(text).toMatch(/miner_sessions_of_dialect\{dialect="v2026"\} [1-9]/)
  expect(await (await fetch(`http://127.0.0.1:${started.miner.adminPort}/status`)).text()).toContain('v2026')
  expect(old.isOpen).toBe(true)
})

it('closes one connection too many without an error, so that the validator dials again', async () => {
  await using small = await startMiner2026({ env: { MAX_CONNECTIONS_PER_VALIDATOR: '1' } })
  const first = await connectValidator2026(small.miner)
  const second = await dialMiner2026(small.miner)
  await second.send(authentication2026(validatorKey(), { timestamp: now() + 1 }))
  expect(await second.nextUntilClosed()).toEqual([])
  expect(await second.closed).toMatchObject({ code: 1013 })
  await first.close()
  let ahead = 1
  const dialAgain = async () => {
    const again = await dialMiner2026(small.miner)
    ahead += 1
    await again.send(authentication2026(validatorKey(), { timestamp: now() + ahead }))
    return (await again.next()).message_type
  }
  await expect.poll(dialAgain).toBe(MANIFEST.message_type)
})
