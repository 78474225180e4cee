/** What a dialect of link 1 does for the validator: it reads and writes the messages on one miner's connection. */
import type { Hotkey } from '@horde/chain/wallet'
import type { ExecutorClass } from '@horde/protocol/classes'
import type { WireError } from '@horde/protocol/frame'
import type { JobReport, JobRequest } from '@horde/protocol/job/messages'
import type { JobWork, TimeLimits } from '@horde/protocol/job/request'
import type { JobUuid } from '@horde/protocol/primitives'
import type { V0ExecutorManifestRequest } from '@horde/protocol/v0/validator-miner'
import type { SignedReceipt } from '../../db/jobs.ts'

/** The executor classes that a miner offers, with how many executors of each. */
export type Manifest = V0ExecutorManifestRequest['manifest']['executor_classes']

/** The two ends of the connection. */
export interface Ends {
  /** The validator's. */
  hotkey: Hotkey
  minerHotkey: string
}

/** What a dialect says about a job beside its offer and its work. */
export interface JobTerms {
  executorClass: ExecutorClass | undefined
  /** Whether a user asked for the job. */
  isOrganic: boolean
  /** What the miner is told of the job's limits where the dialect limits each stage. */
  limits: TimeLimits
  /**
   * Whether the offer says what the job reads, where the dialect allows that. A synthetic job's input must come with
   * its work: a miner that knew it before would start before its time is measured.
   */
  areVolumesOffered: boolean
  /** How long the miner keeps an executor for an offer, where the dialect says it, in seconds. */
  reservationSeconds: number
}

/** What the validator tells a miner about a job's course, where the dialect has a message for it. Times in ms. */
export type JobNotice =
  /** The miner's acceptance has arrived. `mayTakeSeconds`: from then to the result. */
  | { type: 'accepted'; jobUuid: JobUuid; acceptedAt: number; mayTakeSeconds: number }
  /** The job has ended, however. */
  | { type: 'ended'; jobUuid: JobUuid; startedAt: number; endedAt: number; isFinished: boolean }

/** A message of a miner, in no dialect. */
export type ReadMessage =
  | { type: 'manifest'; manifest: Manifest }
  /** `isRefusal`: the miner does not accept this validator. */
  | { type: 'error'; text: string; isRefusal: boolean }
  | { type: 'report'; report: JobReport }
  /** A message that this validator has no use for. */
  | { type: 'nothing' }

export type ReadFrame = { ok: true; message: ReadMessage } | { ok: false; error: WireError }

export interface MinerDialect {
  /**
   * Whether a miner may be sent an offer or the work again, on a new connection. A miner of v2026 drops the connection
   * when it gets an offer twice.
   */
  readonly repeats: boolean
  /** Whether the miner reports each stage of a job that runs. */
  readonly reportsStages: boolean
  /** Returns the part of a job's work that the dialect cannot express, for people; undefined when it can. */
  readonly obstacle: (work: JobWork) => string | undefined
  /** Whether each job has a connection of its own. */
  readonly isPerJob: boolean
  /** Returns the first message of a connection: who the validator is, signed for this miner and moment. */
  authentication(ends: Ends, nowMs: number): object
  request(request: JobRequest, terms: JobTerms, ends: Ends, nowMs: number): Written
  /** Returns undefined where the dialect has no such message. */
  notice(notice: JobNotice, terms: JobTerms, ends: Ends, nowMs: number): Written | undefined
  read(frame: string | Uint8Array): ReadFrame
}

/** A message to send, and the receipt in it, which is kept. */
export interface Written {
  message: object
  receipt?: SignedReceipt | undefined
}
