/** What a job sends and receives on the connection to its miner. */
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { JobReport, JobRequest } from '@horde/protocol/job/messages'
import type { JobNotice, JobTerms, Manifest, MinerDialect } from './dialects/miner-dialect.ts'

export interface MinerToDial {
  readonly hotkey: string
  /** host:port, an IPv6 host in brackets. */
  readonly address: string
}

/** `at`: the frame's arrival, in ms of the monotonic clock. Connections are numbered from 1. */
export type MessageEvent = { type: 'message'; report: JobReport; connection: number; at: number }

/** The miner can be sent offers. */
export type ConnectedEvent = {
  type: 'connected'
  connection: number
  /** Whether the miner has read nothing of what was sent about jobs on the connections before. */
  hasReadNothing: boolean
  dialect: Dialect
} & Pick<MinerDialect, 'repeats' | 'reportsStages' | 'obstacle'>

/** What a channel delivers. */
export type ChannelEvent =
  | ConnectedEvent
  | { type: 'lost' }
  | { type: 'manifest'; manifest: Manifest }
  | MessageEvent
  /** An error message from the miner. */
  | { type: 'complained'; text: string }
  /** The connection will not be dialled again. `refused`: the miner does not accept this validator. */
  | { type: 'over'; refused: boolean }

/** What one job sends and receives on a miner's connection. */
export interface JobChannel extends Disposable {
  /** Returns the next event; undefined when `ms` milliseconds brought none. After 'over' nothing else comes. */
  next(ms: number, signal: AbortSignal): Promise<ChannelEvent | undefined>
  /** Resolves once the kernel has the message, with the number of the connection. Rejects with SocketClosedError. */
  send(request: JobRequest, terms: JobTerms): Promise<number>
  /** Tells the miner about the job's course, where its dialect has a message for it. Rejects with SocketClosedError. */
  notify(notice: JobNotice, terms: JobTerms): Promise<void>
  /** A message of this connection moved the job: the retry counter resets. */
  moved(connection: number): void
}
