/** The authenticated connections of validators: what is sent on each, what of it was read, and how many are open. */
import type { Socket } from '@horde/kit/socket'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { JobReport } from '@horde/protocol/job/messages'
import { fitFrame, shorten } from '@horde/protocol/shorten'
import type { DialectName, Frame, ValidatorDialect } from './dialects/dialect.ts'
import { dialectV0 } from './dialects/v0.ts'

/** Frames are parsed once the first one has shown the validator's dialect. */
export type ValidatorSocket = Socket<string | Uint8Array, Frame>

/** How long a validator may take to read a message, in milliseconds; then its connection counts as gone. */
const SEND_WITHIN_MS = 60_000
/**
 * How much later than its validator the miner may notice that a connection was lost, in milliseconds, unless it was
 * silent: a close may take 3 s.
 */
const NOTICED_LATE_MS = 5_000
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
  readonly dialect: ValidatorDialect
  /** The address that the validator dialled from. */
  readonly address: string
  /** When it was opened, in ms of the monotonic clock: those for jobs are made once they are authenticated. */
  readonly openedAt: number
  readonly #socket: ValidatorSocket
  readonly #clock: Clock
  readonly #sendings = new Map<string, Sending>()
  readonly #lost: Promise<void>
  #lostAt: number | undefined

  constructor(
    socket: ValidatorSocket,
    validator: string,
    capabilities: readonly string[],
    clock: Clock,
    dialect = dialectV0,
    address = '',
  ) {
    this.address = address
    this.dialect = dialect
    this.#socket = socket
    this.#clock = clock
    this.validator = validator
    this.capabilities = new Set(capabilities)
    this.openedAt = clock.monotonic()
    this.#lost = socket.closed.then(() => {
      this.#lostAt = socket.wasSilent ? this.openedAt : this.#noticedAt()
    })
  }

  /** The earliest moment at which its validator may have lost it, in ms of the monotonic clock. Undefined while open. */
  get lostAt(): number | undefined {
    return this.#lostAt ?? (this.isOpen ? undefined : this.#noticedAt())
  }

  get isOpen(): boolean {
    return this.#socket.isOpen
  }

  /** Sends a message, its texts cut to what the peer accepts. False when the connection is gone. */
  async send(message: Frame): Promise<boolean> {
    return this.isOpen && this.#inTime(this.#socket.send(this.#fitted(message)))
  }

  /** Sends a report about a job. True, too, when the validator's dialect has no message for it. */
  async report(report: JobReport): Promise<boolean> {
    const message = this.dialect.report(report)
    return message === undefined || this.send(message)
  }

  /**
   * Sends a report about a job, unless a message of its type about that job went out here before: then it returns that
   * one.
   */
  sendOnce(jobId: number, report: JobReport): Sending {
    const message = this.dialect.report(report)
    if (message === undefined) return NOTHING_TO_SEND
    const key = `${jobId} ${message.message_type}`
    const before = this.#sendings.get(key)
    if (before) return before
    const { sent, acknowledged } = this.#socket.sendWithReceipt(this.#fitted(message))
    const read = acknowledged.then(async isRead => isRead || this.#lost.then(() => false))
    const sending = { sent: this.#inTime(sent), read }
    this.#sendings.set(key, sending)
    const [oldest = ''] = this.#sendings.keys()
    if (this.#sendings.size > MAX_REMEMBERED) this.#sendings.delete(oldest)
    return sending
  }

  /** Sends the reason, and closes. */
  async dismiss(details: string): Promise<void> {
    await this.sendError(details)
    await this.#socket.close(1000, 'dismissed')
  }

  async sendError(details: string): Promise<void> {
    await this.send(errorMessage(details))
  }

  #noticedAt(): number {
    return this.#clock.monotonic() - NOTICED_LATE_MS
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

  #fitted(message: Frame): Frame {
    if (!hasOutput(message)) return message
    const encoding = this.dialect.name === 'v2026' ? 'utf-8' : 'ascii'
    return fitFrame(message, this.dialect.largestFrame([...this.capabilities]), encoding)
  }
}

type WithOutput = Frame & { docker_process_stdout: string; docker_process_stderr: string }

/** Those of v2026 may be null. */
function hasOutput(message: Frame): message is WithOutput {
  return 'docker_process_stdout' in message && message.docker_process_stdout !== null
}

/** An error that every peer accepts, whatever its limit. */
export function errorMessage(details: string): Frame & { details: string } {
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

  /** How many speak each dialect. */
  dialects(): Readonly<Record<DialectName, number>> {
    const counts = { v0: 0, v2026: 0 }
    for (const { dialect } of this.all()) counts[dialect.name] += 1
    return counts
  }

  /** The dialects that each validator speaks now. */
  spoken(): ReadonlyMap<string, readonly DialectName[]> {
    const spokenBy = (open: Iterable<ValidatorConnection>) => [...new Set([...open].map(each => each.dialect.name))]
    return new Map([...this.#byValidator].map(([validator, open]) => [validator, spokenBy(open).sort()]))
  }

  all(): ValidatorConnection[] {
    return [...this.#byValidator.values()].flatMap(open => [...open])
  }
}
