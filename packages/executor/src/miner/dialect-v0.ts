/** The dialect of April 2024. Loaded with the first frame of a miner that speaks it. */
import { largestFrameFor, type Parsed } from '@horde/protocol/frame'
import { fitFrame } from '@horde/protocol/shorten'
import { answerToV0 } from '@horde/protocol/v0/executor-codec'
import { offerFromV0, workFromV0 } from '@horde/protocol/v0/job-codec'
import { parseFromMiner } from '@horde/protocol/v0/miner-executor'
import type { Dialect, MinerMessage } from './dialect.ts'

export function dialectV0(): Dialect {
  /** By the first offer: the miner may not repeat its capabilities with one that is out of order. */
  let largestFrame: number | undefined
  const convert = (frame: string | Uint8Array): Parsed<MinerMessage> => {
    const parsed = parseFromMiner(frame)
    if (!parsed.ok) return parsed
    const { message } = parsed
    switch (message.message_type) {
      case 'V0PrepareJobRequest':
        largestFrame ??= largestFrameFor(message.capabilities)
        return { ok: true, message: { kind: 'offer', offer: offerFromV0(message, null) } }
      case 'V0RunJobRequest':
        return { ok: true, message: { kind: 'work', work: workFromV0(message) } }
      case 'GenericError':
        return { ok: true, message: { kind: 'error', details: message.details } }
    }
  }
  return {
    name: 'v0',
    parse: convert,
    report: (report, jobUuid) =>
      report === 'ready' ? { message_type: 'V0ReadyRequest', job_uuid: jobUuid } : undefined,
    answer: (jobUuid, result) => {
      const message = answerToV0(jobUuid, result)
      return 'docker_process_stdout' in message
        ? fitFrame(message, largestFrame ?? largestFrameFor(undefined))
        : message
    },
  }
}
