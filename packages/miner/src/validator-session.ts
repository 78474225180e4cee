/** A verified connection of a validator: what is said on it, and what of it has arrived. */
import type { Socket } from '@horde/kit/socket'
import { type Clock, withDeadline } from '@horde/kit/time'
import { largestFrameFor, type Parsed } from '@horde/protocol/frame'
import { fitFrame, shorten } from '@horde/protocol/shorten'
import type { MinerMessage, ValidatorMessage } from '@horde/protocol/validator-miner'

export type ValidatorSocket = Socket<Parsed<ValidatorMessage>, MinerMessage>

/** How long a validator may take to take a message off the wire, in milliseconds; one that does not is as good as gone. */
const SAY_WITHIN_MS = 60_000
/** How many messages about jobs a connection is known to have been told: a connection may live for months. */
const MAX_TOLD = 10_000
/** The longest text of an error, in characters. */
const MAX_DETAILS_CHARACTERS = 4_000

let connections = 0

/** A message about a job on its way to a validator. Neither promise rejects. */
export type Told = {
  /** False when the connection was gone. */
  readonly said: Promise<boolean>
  /** True once the validator's side has read it; false when the connection ended before it said so. */
  readonly arrived: Promise<boolean>
}

/** What a connection was told about a job is remembered: a ready or a result is never said twice on it. */
export class ValidatorSession {
  readonly validator: string
  /** Later connections have higher numbers. */
  readonly number = ++connections
  readonly capabilities: ReadonlySet<string>
  readonly #socket: ValidatorSocket
  readonly #clock: Clock
  readonly #told = new Map<string, Told>()

  constructor(socket: ValidatorSocket, validator: string, capabilities: readonly string[], clock: Clock) {
    this.#socket = socket
    this.#clock = clock
    this.validator = validator
    this.capabilities = new Set(capabilities)
  }

  get isOpen(): boolean {
    return this.#socket.isOpen
  }

  /** Says a message, its texts cut to what the peer takes. False when the connection is gone. */
  async say(message: MinerMessage): Promise<boolean> {
    return this.isOpen && this.#inTime(this.#socket.say(this.#fitted(message)))
  }

  /** Says a message about a job, unless this connection has been told its like about that job: then, how that went. */
  tellOnce(jobId: number, message: MinerMessage): Told {
    const what = `${jobId} ${message.message_type}`
    const before = this.#told.get(what)
    if (before) return before
    const { said, arrived } = this.#socket.deliver(this.#fitted(message))
    const told = { said: this.#inTime(said), arrived }
    this.#told.set(what, told)
    const [oldest = ''] = this.#told.keys()
    if (this.#told.size > MAX_TOLD) this.#told.delete(oldest)
    return told
  }

  /** Says why, and closes. */
  async dismiss(details: string): Promise<void> {
    await this.say({ message_type: 'GenericError', details })
    await this.#socket.close(1000, 'dismissed')
  }

  async #inTime(said: Promise<void>): Promise<boolean> {
    try {
      await withDeadline(said, SAY_WITHIN_MS, 'saying to a validator', this.#clock)
      return true
    } catch {
      // A job that waits for its words to be said would keep its executor.
      void this.#socket.close()
      return false
    }
  }

  #fitted(message: MinerMessage): MinerMessage {
    if (message.message_type === 'GenericError') return errorOf(message.details ?? '')
    if (!('docker_process_stdout' in message)) return message
    return fitFrame(message, largestFrameFor([...this.capabilities]))
  }
}

/** An error for a peer, whatever its limit. */
export function errorOf(details: string): MinerMessage {
  return { message_type: 'GenericError', details: shorten(details, MAX_DETAILS_CHARACTERS) }
}
