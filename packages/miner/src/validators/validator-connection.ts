/** The authenticated connections of validators: what is sent on each, what of it was read, and how many are open. */
import type { Socket } from '@horde/kit/socket'
import { type Clock, withDeadline } from '@horde/kit/time'
import { largestFrameFor, type Parsed } from '@horde/protocol/frame'
import type { JobReport } from '@horde/protocol/job/messages'
import { fitFrame, shorten } from '@horde/protocol/shorten'
import type { MinerMessage, ValidatorMessage } from '@horde/protocol/v0/validator-miner'
import { reportToV0 } from '@horde/protocol/v0/validator-miner-codec'

export type ValidatorSocket = Socket<Parsed<ValidatorMessage>, MinerMessage>

/** How long a validator may take to read a message, in milliseconds; then its connection counts as gone. */
const SEND_WITHIN_MS = 60_000
/** How many sent messages about jobs one connection remembers: a connection may live for months. */
const MAX_REMEMBERED = 10_000
/** The longest text of an error, in characters. */
const MAX_DETAILS_CHARACTERS = 4_000

let connections = 0

/** A message about a job on its way to a validator. Neither promise rejects. */
export type Sending = {
  /** False when the connection was gone. */
  readonly sent: Promise<boolean>
  /** True once the validator's side has read it; false when the connection ended before. */
  readonly read: Promise<boolean>
}

const NOTHING_TO_SEND: Sending = { sent: Promise.resolve(true), read: Promise.resolve(true) }

/** A connection remembers what was sent on it about jobs: a ready message or a result never goes out twice. */
export class ValidatorConnection {
  readonly validator: string
  /** Later connections have higher numbers. */
  readonly number = ++connections
  readonly capabilities: ReadonlySet<string>
  readonly #socket: ValidatorSocket
  readonly #clock: Clock
  readonly #sendings = new Map<string, Sending>()

  constructor(socket: ValidatorSocket, validator: string, capabilities: readonly string[], clock: Clock) {
    this.#socket = socket
    this.#clock = clock
    this.validator = validator
    this.capabilities = new Set(capabilities)
  }

  get isOpen(): boolean {
    return this.#socket.isOpen
  }

  /** Sends a message, its texts cut to what the peer accepts. False when the connection is gone. */
  async send(message: MinerMessage): Promise<boolean> {
    return this.isOpen && this.#inTime(this.#socket.send(this.#fitted(message)))
  }

  /** Sends a report about a job. True, too, when the validator's dialect has no message for it. */
  async report(report: JobReport): Promise<boolean> {
    const message = reportToV0(report)
    return message === undefined || this.send(message)
  }

  /**
   * Sends a report about a job, unless a message of its type about that job went out here before: then it returns that
   * one.
   */
  sendOnce(jobId: number, report: JobReport): Sending {
    const message = reportToV0(report)
    if (message === undefined) return NOTHING_TO_SEND
    const key = `${jobId} ${message.message_type}`
    const before = this.#sendings.get(key)
    if (before) return before
    const { sent, acknowledged } = this.#socket.sendWithReceipt(this.#fitted(message))
    const sending = { sent: this.#inTime(sent), read: acknowledged }
    this.#sendings.set(key, sending)
    const [oldest = ''] = this.#sendings.keys()
    if (this.#sendings.size > MAX_REMEMBERED) this.#sendings.delete(oldest)
    return sending
  }

  /** Sends the reason, and closes. */
  async dismiss(details: string): Promise<void> {
    await this.send({ message_type: 'GenericError', details })
    await this.#socket.close(1000, 'dismissed')
  }

  async #inTime(sent: Promise<void>): Promise<boolean> {
    try {
      await withDeadline(sent, SEND_WITHIN_MS, 'sending to a validator', this.#clock)
      return true
    } catch {
      // A job that waits for its message to go out would keep its executor.
      void this.#socket.close()
      return false
    }
  }

  #fitted(message: MinerMessage): MinerMessage {
    if (message.message_type === 'GenericError') return errorMessage(message.details ?? '')
    if (!('docker_process_stdout' in message)) return message
    return fitFrame(message, largestFrameFor([...this.capabilities]))
  }
}

/** An error that every peer accepts, whatever its limit. */
export function errorMessage(details: string): MinerMessage {
  return { message_type: 'GenericError', details: shorten(details, MAX_DETAILS_CHARACTERS) }
}

/** The open connections, by validator: each may have a limited number. */
export class ValidatorConnections {
  readonly #byValidator = new Map<string, Set<ValidatorConnection>>()
  readonly #maxEach: number

  constructor(maxEach: number) {
    this.#maxEach = maxEach
  }

  /** Adds a connection until the result is disposed of; undefined when its validator has as many as it may. */
  add(connection: ValidatorConnection): Disposable | undefined {
    const { validator } = connection
    const open = this.#byValidator.get(validator) ?? new Set()
    if (open.size >= this.#maxEach) return undefined
    this.#byValidator.set(validator, open.add(connection))
    return {
      [Symbol.dispose]: () => {
        open.delete(connection)
        if (open.size === 0 && this.#byValidator.get(validator) === open) this.#byValidator.delete(validator)
      },
    }
  }

  /** A validator's connections, in the order in which they were authenticated. */
  of(validator: string): ValidatorConnection[] {
    return [...(this.#byValidator.get(validator) ?? [])]
  }

  /** How many each validator has now. */
  counts(): ReadonlyMap<string, number> {
    return new Map([...this.#byValidator].map(([validator, open]) => [validator, open.size]))
  }

  all(): ValidatorConnection[] {
    return [...this.#byValidator.values()].flatMap(open => [...open])
  }
}
