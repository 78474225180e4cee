/** A scripted validator: a test or a benchmark sends its messages to a miner. */
import { type Hotkey, hotkeyFromUri } from '@horde/chain/wallet'
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import { Inbox } from '@horde/kit/socket/inbox'
import { systemClock, withDeadline } from '@horde/kit/time'
import { LARGEST_PASSED_ON_BYTES } from '@horde/protocol/frame'
import { authenticationBytes } from '@horde/protocol/handshake/signing'
import {
  type AuthenticationPayload,
  CAPABILITIES,
  type MinerMessage,
  parseFromMiner,
  type ValidatorMessage,
} from '@horde/protocol/v0/validator-miner'
import { LONG_MS, WAIT_MS } from '../limits.ts'
import { asPeer, type Peer } from './peer.ts'

const RECONNECT_MS = 200

/** Keys by their URI. Tests ask for them all the time, and deriving one takes milliseconds of processor time. */
const keys = new Map<string, Hotkey>()

function keyOf(uri: string): Hotkey {
  const key = keys.get(uri) ?? hotkeyFromUri(uri)
  keys.set(uri, key)
  return key
}

export const minerKey = () => keyOf('//miner')
export const validatorKey = () => keyOf('//validator')
export const secondValidatorKey = () => keyOf('//validator-2')
export const unknownKey = () => keyOf('//stranger')

export type ValidatorPeer = Peer<MinerMessage, ValidatorMessage>

const pathOf = (hotkey: string) => `/v0.1/validator_interface/${hotkey}`

/** Opens a connection to the miner's port for validators, and sends nothing. */
export async function dialMiner(miner: { url: string }, hotkey: string): Promise<ValidatorPeer> {
  const options = { maxFrameBytes: LARGEST_PASSED_ON_BYTES, log: silentLog, parse: parseFromMiner }
  return asPeer<MinerMessage, ValidatorMessage>(await dialSocket(miner.url + pathOf(hotkey), options))
}

/**
 * Returns the first message, signed by `key` for the miner of `minerKey()`. `changes` replace fields before signing.
 */
export function authentication(
  key: Hotkey,
  changes: Partial<{ [K in keyof AuthenticationPayload]: string | number }> = {},
  capabilities?: string[],
): ValidatorMessage {
  const payload = {
    validator_hotkey: key.ss58,
    miner_hotkey: minerKey().ss58,
    timestamp: Math.floor(Date.now() / 1000),
    ...changes,
  } as AuthenticationPayload
  const signature = `0x${Buffer.from(key.sign(authenticationBytes(payload))).toString('hex')}`
  return { message_type: 'V0AuthenticateRequest', payload, signature, ...(capabilities && { capabilities }) }
}

/** Connects and authenticates a validator. */
export async function connectValidator(
  miner: { url: string },
  key: Hotkey = validatorKey(),
  capabilities?: string[],
): Promise<ValidatorPeer> {
  const peer = await dialMiner(miner, key.ss58)
  await peer.send(authentication(key, {}, capabilities))
  return peer
}

/** A validator's connection that can send any frame. */
export type Wire = {
  sendFrame(frame: string | Uint8Array): void
  send(message: object): void
  next(): Promise<MinerMessage>
  close(): void
  /** Resolves to the code. */
  closed: Promise<number>
}

/** Connects with Node's WebSocket, to test the miner against code that is not this project's. */
export async function connectWire(miner: { url: string }, key: Hotkey, how?: 'unauthenticated'): Promise<Wire> {
  const socket = new WebSocket(miner.url + pathOf(key.ss58))
  const received = new Inbox<MinerMessage>()
  socket.addEventListener('message', ({ data }) => received.put(JSON.parse(String(data))))
  const closed = new Promise<number>(resolve => socket.addEventListener('close', ({ code }) => resolve(code)))
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', reject)
  })
  const sendFrame = (frame: string | Uint8Array) => socket.send(frame)
  const send = (message: object) => sendFrame(JSON.stringify(message))
  if (how !== 'unauthenticated') send(authentication(key))
  const next = async () => {
    const message = await received.next(WAIT_MS, new AbortController().signal)
    if (!message) throw new Error('no message arrived')
    return message
  }
  return { send, sendFrame, next, close: () => socket.close(), closed }
}

/** A validator with many jobs at once on one connection. It waits for messages by job and type. */
export class TestValidator implements AsyncDisposable {
  readonly #peer: ValidatorPeer
  readonly #waiting = new Map<string, (message: MinerMessage) => void>()

  private constructor(peer: ValidatorPeer) {
    this.#peer = peer
    void this.#read()
  }

  /** Connects repeatedly until the miner listens and accepts this validator. `address`: host:port. */
  static async connect(address: string, key: Hotkey, minerHotkey: string): Promise<TestValidator> {
    for (;;) {
      try {
        const peer = await dialMiner({ url: `ws://${address}` }, key.ss58)
        await peer.send(authentication(key, { miner_hotkey: minerHotkey }, [...CAPABILITIES]))
        const first = await peer.receive()
        if (first?.ok && first.message.message_type === 'V0ExecutorManifestRequest') return new TestValidator(peer)
        await peer.close()
      } catch {
        // The miner does not listen yet.
      }
      await systemClock.sleep(RECONNECT_MS)
    }
  }

  /** Resolves to the next message of this type about this job. Call it before sending what the miner answers. */
  receive(jobUuid: string, type: MinerMessage['message_type']): Promise<MinerMessage> {
    const { promise, resolve } = Promise.withResolvers<MinerMessage>()
    this.#waiting.set(`${jobUuid} ${type}`, resolve)
    return withDeadline(promise, LONG_MS, `${type} of ${jobUuid}`)
  }

  send(message: ValidatorMessage): Promise<void> {
    return this.#peer.send(message)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#peer.close()
  }

  async #read(): Promise<void> {
    for await (const received of this.#peer) {
      if (!received.ok || !('job_uuid' in received.message)) continue
      const key = `${received.message.job_uuid} ${received.message.message_type}`
      this.#waiting.get(key)?.(received.message)
      this.#waiting.delete(key)
    }
  }
}
