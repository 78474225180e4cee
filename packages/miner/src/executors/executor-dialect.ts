/** Which dialect to speak with an executor, and its messages in either. */
import type { Parsed } from '@horde/protocol/frame'
import type { JobReport, JobRequest } from '@horde/protocol/job/messages'
import { isPreset } from '@horde/protocol/job/preset'
import type { JobUuid } from '@horde/protocol/primitives'
import { v0Obstacle } from '@horde/protocol/v0/job-codec'
import { parseFromExecutor as parseV0 } from '@horde/protocol/v0/miner-executor'
import { reportFromV0Executor, requestToV0Executor } from '@horde/protocol/v0/miner-executor-codec'
import { requestToV2026Executor, type V2026Job } from '@horde/protocol/v2026/codec/miner-executor-codec'
import { reportFromV2026 } from '@horde/protocol/v2026/codec/report-codec'
import { parseFromExecutor as parseV2026 } from '@horde/protocol/v2026/miner-executor'
import type { DialectName } from '../validators/dialects/dialect.ts'

/** What an executor shows of itself when it connects. */
export type ExecutorPeer = { token: string; capabilities: readonly string[]; userAgent: string | undefined }

/** `unknown`: it has shown nothing. */
export type Spoken = DialectName | 'both' | 'unknown'

/** Of Python's websockets library: 12 is that of April 2024, and 14 came with the executors of 2025. */
const LIBRARY = /\bwebsockets\/(\d+)\b/
const LIBRARY_OF_2024 = 12
const LIBRARY_OF_2025 = 14

/** Returns what an executor speaks: ours name their capabilities, and Python's are known by their library. */
export function spokenBy({ capabilities, userAgent = '' }: Omit<ExecutorPeer, 'token'>): Spoken {
  if (capabilities.length > 0) return capabilities.includes('2026') ? 'both' : 'v0'
  const version = Number(LIBRARY.exec(userAgent)?.[1])
  if (version >= LIBRARY_OF_2025) return 'v2026'
  return version === LIBRARY_OF_2024 ? 'v0' : 'unknown'
}

/** What this miner understands beyond v0, as it says to executors of v0. */
const CAPABILITIES = ['large-frames']

/** What the messages to an executor need to know of its job. */
export type ChannelJob = V2026Job & {
  /** The dialect to speak with executors that speak both: that in which the job was offered. */
  dialect: DialectName
  /** The dialect that the executor speaks, by its pool's settings. Undefined: it shows it. */
  speaks: DialectName | undefined
}

/** Returns the frame for a request. Ask `obstacleTo` first. */
export function frameFor(request: JobRequest, dialect: DialectName, job: ChannelJob | undefined): object {
  if (dialect === 'v0' || job === undefined) return requestToV0Executor(request, CAPABILITIES)
  return requestToV2026Executor(request, job)
}

/** Returns the part of a request that the dialect cannot express; undefined when it can express all of it. */
export function obstacleTo(request: JobRequest, dialect: DialectName): string | undefined {
  if (dialect === 'v2026') return request.type === 'work' && !isPreset(request.preset) ? 'its preset' : undefined
  return v0Obstacle(request.type === 'work' ? request : { ...NOTHING, volumes: request.volumes })
}

const NOTHING = {
  ...{ jobUuid: '' as JobUuid, image: '', script: null, preset: 'none', args: [], env: {} },
  ...{ uploads: { files: [], zip: null, afterFailure: false }, artifactsFolder: null },
}

/** `report` undefined: it moves no job. */
export type ExecutorSays =
  | { kind: 'report'; jobUuid: string; report: JobReport | undefined }
  | { kind: 'error'; details: string | null }

/** Parses an executor's frame in the dialect that its type belongs to. */
export function parseExecutorFrame(frame: string | Uint8Array): Parsed<ExecutorSays> {
  if (isOf2026(frame)) return parseOf2026(frame)
  const parsed = parseV0(frame)
  if (!parsed.ok) return parsed
  const { message } = parsed
  if (message.message_type === 'GenericError') return { ok: true, message: { kind: 'error', details: message.details } }
  const { job_uuid: jobUuid } = message
  return { ok: true, message: { kind: 'report', jobUuid, report: reportFromV0Executor(message) } }
}

function parseOf2026(frame: string | Uint8Array): Parsed<ExecutorSays> {
  const parsed = parseV2026(frame)
  if (!parsed.ok) return parsed
  const { message } = parsed
  if (message.message_type === 'GenericError') return { ok: true, message: { kind: 'error', details: message.details } }
  const { job_uuid: jobUuid } = message
  return { ok: true, message: { kind: 'report', jobUuid, report: reportFromV2026(message, jobUuid as JobUuid) } }
}

const TYPE = /"message_type"\s*:\s*"([A-Za-z0-9]{1,60})"/

/** Whether a frame's type is one of v2026 alone. Python's frames begin with it, and so do ours. */
function isOf2026(frame: string | Uint8Array): boolean {
  if (typeof frame !== 'string') return false
  const [, type = ''] = TYPE.exec(frame) ?? []
  return !parseV0.messageTypes.includes(type) && parseV2026.messageTypes.includes(type)
}
