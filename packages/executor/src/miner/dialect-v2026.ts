/** The dialect of 2026. Loaded with the first frame of a miner that speaks it. */
import { LARGE_FRAME_BYTES, type Parsed, WireError } from '@horde/protocol/frame'
import { jobUuid } from '@horde/protocol/primitives'
import { fitFrame } from '@horde/protocol/shorten'
import { answerToV2026 } from '@horde/protocol/v2026/codec/executor-codec'
import { offerFromV2026, workFromV2026 } from '@horde/protocol/v2026/codec/request-codec'
import { parseFromMiner } from '@horde/protocol/v2026/miner-executor'
import type { Dialect, MinerMessage, Report } from './dialect.ts'

const REPORTS = {
  ready: 'V0ExecutorReadyRequest',
  'volumes-ready': 'V0VolumesReadyRequest',
  'execution-done': 'V0ExecutionDoneRequest',
} as const satisfies Record<Report, string>

export function dialectV2026(): Dialect {
  return {
    name: 'v2026',
    parse,
    report: (report, uuid) => {
      const message = { message_type: REPORTS[report], job_uuid: uuid }
      return report === 'ready' ? { ...message, executor_token: null } : message
    },
    answer: (uuid, result) => {
      const message = answerToV2026(uuid, result)
      if (message.message_type === 'V0HordeFailedRequest') return message
      const { docker_process_stdout: stdout, docker_process_stderr: stderr } = message
      // A job that did not run has no texts, and both are null.
      if (stdout === null || stderr === null) return message
      const printed = { docker_process_stdout: stdout, docker_process_stderr: stderr }
      return fitFrame({ ...message, ...printed }, LARGE_FRAME_BYTES, 'utf-8')
    },
  }
}

function parse(frame: string | Uint8Array): Parsed<MinerMessage> {
  const parsed = parseFromMiner(frame)
  if (!parsed.ok) return parsed
  const { message } = parsed
  if (message.message_type === 'GenericError') {
    return { ok: true, message: { kind: 'error', details: message.details } }
  }
  const uuid = jobUuid.safeParse(message.job_uuid)
  if (!uuid.success) return { ok: false, error: new WireError('invalid-fields', 'job_uuid: must be a uuid') }
  if (message.message_type === 'V0InitialJobRequest') {
    return { ok: true, message: { kind: 'offer', offer: offerFromV2026(message, uuid.data) } }
  }
  return { ok: true, message: { kind: 'work', work: workFromV2026(message, uuid.data) } }
}
