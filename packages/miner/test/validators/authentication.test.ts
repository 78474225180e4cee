import { generateKeyPairSync, sign } from 'node:crypto'
import { addressOf } from '@horde/chain/wallet'
import { authenticationBytes } from '@horde/protocol/handshake/signing'
import type { V0AuthenticateRequest } from '@horde/protocol/v0/validator-miner'
import { WAIT_MS } from '@horde/testing/limits'
import {
  authentication,
  connectValidator,
  dialMiner,
  minerKey,
  secondValidatorKey,
  unknownKey,
  type ValidatorPeer,
  validatorKey,
} from '@horde/testing/peers/validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'

const OFFER = {
  message_type: 'V0InitialJobRequest',
  job_uuid: '7d8a4b0e-2f64-4d3e-9f43-0c6f3a5d9b11',
  base_docker_image_name: null,
  timeout_seconds: 10,
  volume_type: 'inline',
  executor_class: 'always_on.test',
} as never

/** The order of sr25519's group: a careless check takes s and s plus this for the same number. */
const GROUP_ORDER = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n
const MARKER = 1n << 255n

/** An ed25519 key, whose address an operator listed as a validator's. */
const ed25519 = generateKeyPairSync('ed25519')
const ed25519Hotkey = addressOf(ed25519.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32))

/** The second half of a signature as another number that means the same. */
function malleated(signature: string): string {
  const bytes = Buffer.from(signature.slice(2), 'hex')
  const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) - MARKER + GROUP_ORDER + MARKER
  const half = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
  return `0x${Buffer.concat([bytes.subarray(0, 32), half]).toString('hex')}`
}

let stack: AsyncDisposableStack
let started: Awaited<ReturnType<typeof startChain>>
let miner: TestMiner
const manager = new ScriptedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  started = stack.use(await startChain())
  const { chain, url: chainUrl } = started
  const env = {
    EXECUTOR_CLASS: 'always_on.test',
    AUTHENTICATE_SECONDS: String(WAIT_MS / 1000),
    BANNED_VALIDATORS: secondValidatorKey().ss58,
    EXTRA_VALIDATORS: ed25519Hotkey,
  }
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env }))
})
afterAll(() => stack.disposeAsync())

/** What a refused peer receives: one GenericError, then a close with code 1000. */
async function refusal(peer: ValidatorPeer): Promise<string | null> {
  const all = await peer.nextUntilClosed()
  expect((await peer.closed).code).toBe(1000)
  expect(all).toHaveLength(1)
  expect(all[0]).toMatchObject({ message_type: 'GenericError' })
  return all[0]?.message_type === 'GenericError' ? all[0].details : null
}

describe('refuses a bad authentication, and ignores an offer behind it:', () => {
  const now = () => Math.floor(Date.now() / 1000)
  it.each([
    ['an unknown hotkey', () => unknownKey(), () => ({}), /Unknown validator/],
    ['a banned validator', () => secondValidatorKey(), () => ({}), /Unknown validator/],
    ['a neuron that is no validator', () => minerKey(), () => ({}), /^Inactive validator$/],
    ['another hotkey than in the URL', () => validatorKey(), () => ({ validator_hotkey: unknownKey().ss58 }), /URL/],
    ['another miner', () => validatorKey(), () => ({ miner_hotkey: unknownKey().ss58 }), /miner hotkey/],
    ['a timestamp in the past', () => validatorKey(), () => ({ timestamp: now() - 13 }), /\b\d\d s off/],
    ['a timestamp in the future', () => validatorKey(), () => ({ timestamp: now() + 90 }), /\b\d\d s off/],
  ])('%s', async (_name, key, changes, words) => {
    const peer = await dialMiner(miner, key().ss58)
    await peer.send(authentication(key(), changes())).catch(() => {})
    await peer.send(OFFER).catch(() => {})
    expect(await refusal(peer)).toMatch(words)
  })

  it("another key's signature", async () => {
    const peer = await dialMiner(miner, validatorKey().ss58)
    const forged = authentication(unknownKey(), { validator_hotkey: validatorKey().ss58 })
    await peer.send(forged)
    await peer.send(OFFER).catch(() => {})
    expect(await refusal(peer)).toBe('The signature does not verify')
  })

  it('a signature that was used before', async () => {
    const message = authentication(validatorKey())
    await using first = await dialMiner(miner, validatorKey().ss58)
    await first.send(message)
    await first.send({ message_type: 'V0JobRequest' } as never)
    expect(await first.next()).toMatchObject({ message_type: 'GenericError' })
    const second = await dialMiner(miner, validatorKey().ss58)
    await second.send(message)
    expect(await refusal(second)).toBe('The signature was used before')
  })

  it.each([
    ['a prefix that says its kind', (signature: string) => signature.replace('0x', '0x01')],
    ['no 0x', (signature: string) => signature.slice(2)],
    ['its number written in another way', malleated],
  ])('a signature with %s', async (_name, change) => {
    const message = authentication(validatorKey()) as V0AuthenticateRequest
    const peer = await dialMiner(miner, validatorKey().ss58)
    await peer.send({ ...message, signature: change(message.signature) })
    await peer.send(OFFER).catch(() => {})
    expect(await refusal(peer)).toBe('The signature does not verify')
  })

  it('an ed25519 signature, by the very key of the hotkey', async () => {
    const { message_type, payload } = authentication(validatorKey(), {
      validator_hotkey: ed25519Hotkey,
    }) as V0AuthenticateRequest
    const bytes = authenticationBytes(payload)
    const signature = `0x${sign(null, bytes, ed25519.privateKey).toString('hex')}`
    const peer = await dialMiner(miner, ed25519Hotkey)
    await peer.send({ message_type, payload, signature, capabilities: undefined })
    await peer.send(OFFER).catch(() => {})
    expect(await refusal(peer)).toBe('The signature does not verify')
  })

  it('another message first', async () => {
    const peer = await dialMiner(miner, validatorKey().ss58)
    await peer.send(OFFER)
    expect(await refusal(peer)).toMatch(/first message/)
  })

  it('silence', async () => {
    const { chain, url: chainUrl } = started
    const env = { EXECUTOR_CLASS: 'always_on.test', AUTHENTICATE_SECONDS: '1' }
    await using hasty = await startTestMiner({ chain, chainUrl, manager: new ScriptedManager(), env })
    const peer = await dialMiner(hasty, validatorKey().ss58)
    expect(await refusal(peer)).toBe('The authentication did not come in time')
  })

  it('starts no executor for any of them', async () => {
    await using peer = await connectValidator(miner)
    await peer.send(OFFER)
    expect(await peer.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
    const { token } = await manager.order()
    expect(manager.stopped).toEqual([])
    manager.exit(token)
    expect(await peer.next()).toMatchObject({ message_type: 'V0ExecutorFailedRequest' })
  })
})

describe('an authenticated connection', () => {
  it('gets the manifest when it names the capability', async () => {
    await using peer = await connectValidator(miner, validatorKey(), ['manifest', 'large-frames'])
    expect(await peer.next()).toEqual({
      message_type: 'V0ExecutorManifestRequest',
      manifest: { executor_classes: [{ executor_class: 'always_on.test', count: 1 }] },
    })
  })

  it('gets errors for invalid frames, and stays open', async () => {
    await using peer = await connectValidator(miner)
    for (const frame of [[], { message_type: 'V9' }, { message_type: 'V0JobRequest' }, 'text', null]) {
      await peer.send(frame as never)
      expect(await peer.next()).toMatchObject({ message_type: 'GenericError', details: expect.any(String) })
    }
    await peer.send({ message_type: 'GenericError', details: 'never answered' })
    await peer.send(authentication(validatorKey()))
    expect(await peer.next()).toMatchObject({ details: 'This connection is authenticated already' })
  })
})

it('refuses an unknown path', async () => {
  await expect(dialMiner({ url: `${miner.url}/elsewhere` }, 'x')).rejects.toThrow(/404/)
})
