/** A validator's connection to a miner, for measurements: what is said and heard, with nothing between. */
import type { Hotkey } from '@horde/chain/wallet'
import { silentLog } from '@horde/kit/log'
import { dialSocket, type Socket } from '@horde/kit/socket'
import { systemClock, withDeadline } from '@horde/kit/time'
import { LARGE_FRAME_BYTES, type Parsed } from '@horde/protocol/frame'
import { type MinerMessage, parseFromMiner, type ValidatorMessage } from '@horde/protocol/validator-miner'
import { authenticate } from '../../packages/validator/src/jobs/miner-connection.ts'

/** How long one step may take, in ms. */
const STEP_MS = 300_000
const DIAL_AGAIN_MS = 200

type Heard = MinerMessage['message_type']
type MinerSocket = Socket<Parsed<MinerMessage>, ValidatorMessage>

export class TestValidator implements AsyncDisposable {
  readonly #socket: MinerSocket
  readonly #waiting = new Map<string, (message: MinerMessage) => void>()

  private constructor(socket: MinerSocket) {
    this.#socket = socket
    void this.#read()
  }

  /** Dials until the miner is there and knows this validator. */
  static async connect(address: string, key: Hotkey, minerHotkey: string): Promise<TestValidator> {
    const url = `ws://${address}/v0.1/validator_interface/${key.ss58}`
    for (;;) {
      try {
        const socket: MinerSocket = await dialSocket(url, {
          parse: parseFromMiner,
          maxFrameBytes: LARGE_FRAME_BYTES,
          log: silentLog,
        })
        await socket.say(authenticate(key, minerHotkey, Date.now()))
        const first = await socket.hear()
        if (first?.ok && first.message.message_type === 'V0ExecutorManifestRequest') return new TestValidator(socket)
        await socket.close()
      } catch {
        // Not there yet.
      }
      await systemClock.sleep(DIAL_AGAIN_MS)
    }
  }

  /** The next message of this type about this job. To be asked for before what brings it is said. */
  hear(jobUuid: string, type: Heard): Promise<MinerMessage> {
    const { promise, resolve } = Promise.withResolvers<MinerMessage>()
    this.#waiting.set(`${jobUuid} ${type}`, resolve)
    return withDeadline(promise, STEP_MS, `${type} of ${jobUuid}`)
  }

  say(message: ValidatorMessage): Promise<void> {
    return this.#socket.say(message)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#socket.close()
  }

  async #read(): Promise<void> {
    for await (const heard of this.#socket) {
      if (!heard.ok || !('job_uuid' in heard.message)) continue
      const key = `${heard.message.job_uuid} ${heard.message.message_type}`
      this.#waiting.get(key)?.(heard.message)
      this.#waiting.delete(key)
    }
  }
}
