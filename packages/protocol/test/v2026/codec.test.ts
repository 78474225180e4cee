/** The codecs of v2026: what a peer says about a job comes back from the vocabulary as it went in. */
import { describe, expect, it } from 'vitest'
import type { JobReport } from '../../src/job/messages.ts'
import type { JobWork } from '../../src/job/request.ts'
import { NO_UPLOADS } from '../../src/job/uploads.ts'
import { jobUuid } from '../../src/primitives.ts'
import { requestToV2026Executor } from '../../src/v2026/codec/miner-executor-codec.ts'
import { reportFromV2026, reportToV2026, type V2026JobMessage } from '../../src/v2026/codec/report-codec.ts'
import {
  NotInV2026Error,
  offerFromV2026,
  offerToV2026,
  workFromV2026,
  workToV2026,
} from '../../src/v2026/codec/request-codec.ts'
import { requestFromV2026, signedOffer, signedWork } from '../../src/v2026/codec/validator-miner-codec.ts'
import { parseFromMiner as parseAtExecutor } from '../../src/v2026/miner-executor.ts'
import { canonicalText } from '../../src/v2026/signing/canonical-text.ts'
import {
  parseFromMiner,
  parseFromValidator,
  type V0InitialJobRequest,
  type V0JobRequest,
} from '../../src/v2026/validator-miner.ts'
import { readVectors } from './vectors.ts'

interface Golden {
  shows: string
  frame: unknown
}
type Frame = Golden & { type: string }

const golden = readVectors<Record<string, Record<string, Golden[]>>>('golden-validator-miner.json')
const UUID = jobUuid.parse('b4793a02-33a2-4a49-b4e2-4a7b903847e7')

function framesOf(speaker: string, types?: readonly string[]): Frame[] {
  return Object.entries(golden[speaker] ?? {})
    .filter(([type]) => types === undefined || types.includes(type))
    .flatMap(([type, frames]) => frames.map(frame => ({ type, ...frame })))
}

function requestOf({ frame }: Frame): V0InitialJobRequest | V0JobRequest {
  const parsed = parseFromValidator(JSON.stringify(frame))
  if (!parsed.ok) throw parsed.error
  const { message } = parsed
  if (message.message_type !== 'V0InitialJobRequest' && message.message_type !== 'V0JobRequest') throw new Error()
  return message
}

const requests = framesOf('validator', ['V0InitialJobRequest', 'V0JobRequest'])

describe('requests', () => {
  it.each(requests)('$type $shows, back from the vocabulary', frame => {
    const message = requestOf(frame)
    const request = requestFromV2026(message, UUID)
    if (message.message_type === 'V0InitialJobRequest' && request.type === 'offer') {
      const receipt = { payload: message.job_started_receipt_payload, signature: message.job_started_receipt_signature }
      expect(offerFromV2026(offerToV2026(request, receipt), UUID)).toEqual({
        ...offerOnly(request),
        isStreaming: false,
      })
    } else if (message.message_type === 'V0JobRequest' && request.type === 'work') {
      expect(workFromV2026(workToV2026(request, message.executor_class), UUID)).toEqual(offerOnly(request))
    } else throw new Error(request.type)
  })

  it('sign the text that the receiver makes of the frame', () => {
    const texts: string[] = []
    const sign = (text: string) => {
      texts.push(text)
      return '0xabc'
    }
    const [offerFrame, workFrame] = ['V0InitialJobRequest', 'V0JobRequest'].map(type =>
      requests.find(frame => frame.type === type),
    )
    if (!offerFrame || !workFrame) throw new Error()
    const offerMessage = requestOf(offerFrame)
    if (offerMessage.message_type !== 'V0InitialJobRequest') throw new Error()
    const { job_started_receipt_payload: payload, job_started_receipt_signature: signature } = offerMessage
    const [offer, work] = [requestFromV2026(offerMessage, UUID), requestFromV2026(requestOf(workFrame), UUID)]
    if (offer.type !== 'offer' || work.type !== 'work') throw new Error()
    const sent = [signedOffer(offer, { payload, signature }, sign), signedWork(work, 'always_on.test', sign)]
    for (const [index, message] of sent.entries()) {
      const parsed = parseFromValidator(JSON.stringify(message))
      if (!parsed.ok) throw parsed.error
      expect(parsed.message).toEqual(message)
      expect(message.validator_signature).toBe('0xabc')
      expect(canonicalText(parsed.received)).toBe(texts[index])
    }
    expect(sent[1]).toMatchObject({ volume: null })
  })

  it('refuse a class and a preset that v2026 lacks', () => {
    const work = { ...WORK, preset: 'all' }
    expect(() => workToV2026(work, null)).toThrow(NotInV2026Error)
    expect(() => workToV2026(WORK, 'always_on.gpu-99gb')).toThrow(NotInV2026Error)
  })

  it('limit the stages of a job whose run alone is limited', () => {
    const frame = requests.find(({ type }) => type === 'V0InitialJobRequest')
    const message = frame && requestOf(frame)
    if (message?.message_type !== 'V0InitialJobRequest') throw new Error()
    const receipt = { payload: message.job_started_receipt_payload, signature: '0x' }
    const offer = { ...offerFromV2026(message, UUID), limits: { kind: 'run', seconds: 9 } as const }
    expect(offerToV2026(offer, receipt)).toMatchObject({
      timeout_seconds: 300,
      executor_timing: { download_time_limit: 300, execution_time_limit: 9, upload_time_limit: 300 },
    })
  })

  it('name the volumes once for an executor', () => {
    const frame = requests.find(({ type }) => type === 'V0InitialJobRequest')
    const message = frame && requestOf(frame)
    if (message?.message_type !== 'V0InitialJobRequest') throw new Error()
    const receipt = { payload: message.job_started_receipt_payload, signature: '0x' }
    const job = { receipt, executorClass: 'always_on.test' }
    const work = { type: 'work', ...WORK, volumes: [{ kind: 'file-url', url: 'u', path: 'p' }] } as const
    const request = { ...work, volumes: [...work.volumes] }
    const first = requestToV2026Executor(request, { ...job, hasOfferedVolumes: false })
    expect(first.volume).toMatchObject({ volume_type: 'single_file' })
    const second = requestToV2026Executor(request, { ...job, hasOfferedVolumes: true })
    expect(second.volume).toBeNull()
    expect(parseAtExecutor(JSON.stringify(second))).toMatchObject({ ok: true, message: second })
  })
})

const WORK: JobWork = {
  ...{ jobUuid: UUID, image: 'img', script: null, preset: 'none', args: [], env: {} },
  ...{ volumes: [], uploads: NO_UPLOADS, artifactsFolder: null },
}

function offerOnly({ type: _, ...rest }: { type: string }): object {
  return rest
}

describe('reports', () => {
  const frames = framesOf('miner').filter(({ frame }) => typeof (frame as { job_uuid?: string }).job_uuid === 'string')
  it.each(frames)('$type $shows, back from the vocabulary', ({ frame, type }) => {
    const parsed = parseFromMiner(JSON.stringify(frame))
    if (!parsed.ok) throw parsed.error
    const report = reportFromV2026(parsed.message as V2026JobMessage, UUID)
    if (report === undefined) {
      expect(['V0StreamingJobReadyRequest', 'V0MachineSpecsRequest']).toContain(type)
      return
    }
    const written = reportToV2026(report)
    const again = parseFromMiner(JSON.stringify(written))
    if (!again.ok) throw again.error
    expect(again.message, 'every key is written').toEqual(written)
    // An absent map and an empty one mean the same.
    expect(filled(reportFromV2026(written, UUID))).toEqual(filled(report))
  })

  it('say that an executor could not prepare the job', () => {
    const report = { type: 'not-prepared', jobUuid: UUID } satisfies JobReport
    expect(reportToV2026(report)).toMatchObject({
      message_type: 'V0HordeFailedRequest',
      reported_by: 'executor',
      context: { stage: 'executor_startup' },
    })
  })

  it.each(['no JSON', '{"body":"b"}', '[]', 'null', '{"headers":{"a":1},"body":"b"}'])(
    'keep the answer of an upload that is of another form: %s',
    json => {
      const message = { message_type: 'V0JobFinishedRequest', job_uuid: UUID, artifacts: null } as const
      const printed = { docker_process_stdout: '', docker_process_stderr: '' }
      const report = reportFromV2026({ ...message, ...printed, upload_results: { p: json } }, UUID)
      expect(report).toMatchObject({ output: { uploadAnswers: { p: { headers: {}, body: json } } } })
    },
  )
})

function filled(report: JobReport | undefined): unknown {
  if (report?.type !== 'finish') return report
  const { artifacts, uploadAnswers } = report.output
  return { ...report, output: { ...report.output, artifacts: artifacts ?? {}, uploadAnswers: uploadAnswers ?? {} } }
}
