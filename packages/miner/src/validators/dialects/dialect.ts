/** How a validator of one dialect speaks. The code that handles its jobs knows what is said, not in which words. */
import type { Parsed } from '@horde/protocol/frame'
import type { JobReport, JobRequest } from '@horde/protocol/job/messages'
import type { OfferReceipt } from '@horde/protocol/v2026/codec/request-codec'
import type { JobAcceptedPayload, JobFinishedPayload } from '@horde/protocol/v2026/receipts/payloads'

export type DialectName = 'v0' | 'v2026'

/** An authentication, as the validator signed it. */
export interface Claim {
  validatorHotkey: string
  minerHotkey: string
  /** In seconds since 1970. */
  timestamp: number
  signature: string
  signedBytes: Uint8Array
  capabilities: readonly string[]
}

/** What a validator of v2026 proves with an offer or with work. */
export interface Proof {
  /** Null: not signed, as validators of January 2026 do not. */
  signature: string | null
  /** The text that the signature must be over. */
  signedText(): string
  /** With an offer. */
  receipt: OfferReceipt | undefined
}

export type ReceiptMessage = { payload: JobAcceptedPayload | JobFinishedPayload; signature: string }

export type ValidatorSays =
  | { kind: 'authentication'; claim: Claim }
  /** Without a proof: of v0. */
  | { kind: 'request'; request: JobRequest; proof: Proof | undefined }
  | ({ kind: 'receipt' } & ReceiptMessage)
  | { kind: 'main-hotkey' }
  /** `details` is the validator's text: a stranger's. */
  | { kind: 'error'; details: string | null }

/** A frame for a validator. Those with a result have texts that may be cut. */
export type Frame = { message_type: string }

export interface ValidatorDialect {
  readonly name: DialectName
  /** Never throws. */
  parse(frame: string | Uint8Array): Parsed<ValidatorSays>
  /** Returns undefined for what the dialect has no message for. */
  report(report: JobReport): Frame | undefined
  manifest(counts: readonly { executor_class: string; count: number }[]): Frame
  /** The largest frame, in bytes, that a peer with these capabilities reads. */
  largestFrame(capabilities: readonly string[]): number
}
