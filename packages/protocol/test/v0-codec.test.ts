/** The codecs of v0: every message about a job comes back from the vocabulary as it went in. */
import { describe, expect, it } from 'vitest'
import type { JobReport } from '../src/job/messages.ts'
import type { JobWork } from '../src/job/request.ts'
import { NO_UPLOADS } from '../src/job/uploads.ts'
import { NotInV0Error, v0Obstacle } from '../src/v0/job-codec.ts'
import * as minerExecutor from '../src/v0/miner-executor.ts'
import { reportFromV0Executor, requestToV0Executor } from '../src/v0/miner-executor-codec.ts'
import * as validatorMiner from '../src/v0/validator-miner.ts'
import { reportFromV0, reportToV0, requestFromV0, requestToV0 } from '../src/v0/validator-miner-codec.ts'
import { type Golden, readGolden } from './golden.ts'

const { validator = {}, miner = {} } = readGolden('validator-miner', 'v0/')
const { executor = {} } = readGolden('miner-executor', 'v0/')

type Frame = Golden & { type: string }

function framesOf(messages: Record<string, Golden[]>): Frame[] {
  return Object.entries(messages).flatMap(([type, frames]) => frames.map(frame => ({ type, ...frame })))
}

function parsed<T>(parse: (frame: string) => { ok: boolean; message?: T }, { frame }: Frame): T {
  const result = parse(JSON.stringify(frame))
  if (!result.ok || result.message === undefined) throw new Error('a golden frame must be valid')
  return result.message
}

/** Absent fields and null or false ones mean the same, and so do empty names. */
function normalised(message: object): object {
  const fields = Object.entries(message).filter(
    ([, value]) => value !== undefined && value !== null && value !== false && value !== '',
  )
  return Object.fromEntries(fields)
}

describe('link 1', () => {
  const requests = framesOf(validator).filter(({ type }) => type === 'V0InitialJobRequest' || type === 'V0JobRequest')
  it.each(requests)('$type $shows', frame => {
    const message = parsed(validatorMiner.parseFromValidator, frame)
    if (message.message_type !== 'V0InitialJobRequest' && message.message_type !== 'V0JobRequest') throw new Error()
    expect(normalised(requestToV0(requestFromV0(message)))).toEqual(normalised(message))
  })

  const reports = framesOf(miner).filter(({ frame }) => typeof (frame as { job_uuid?: string }).job_uuid === 'string')
  it.each(reports)('$type $shows', frame => {
    const message = parsed(validatorMiner.parseFromMiner, frame)
    if (!('job_uuid' in message)) throw new Error()
    expect(normalised(reportToV0(reportFromV0(message)) ?? {})).toEqual(normalised(message))
  })

  const jobUuid = '7d8a4b0e-2f64-4d3e-9f43-0c6f3a5d9b11' as never
  it.each([
    [
      'that broke before it was ready',
      { type: 'break', stage: 'executor-startup' },
      { message_type: 'V0ExecutorFailedRequest' },
    ],
    [
      'that broke later',
      { type: 'break', stage: 'unknown' },
      {
        message_type: 'V0JobFailedRequest',
        docker_process_exit_status: null,
        docker_process_stdout: '',
        docker_process_stderr: 'why',
      },
    ],
  ] as const)('a job %s', (_, report, message) => {
    const known = { reporter: 'miner', reason: 'generic-error', message: 'why', cause: null } as const
    expect(reportToV0({ ...report, ...known, jobUuid })).toEqual({ job_uuid: jobUuid, ...message })
  })

  it.each(['volumes-ready', 'execution-done'] as const)('has no message for %s', type => {
    expect(reportToV0({ type, jobUuid } satisfies JobReport)).toBeUndefined()
  })
})

describe('link 2', () => {
  const requests = framesOf(validator).filter(({ type }) => type === 'V0JobRequest')
  it.each(requests)('the work of a miner: $shows', frame => {
    const message = parsed(validatorMiner.parseFromValidator, frame)
    if (message.message_type !== 'V0JobRequest') throw new Error()
    const sent = requestToV0Executor(requestFromV0(message), [])
    expect(minerExecutor.parseFromMiner(JSON.stringify(sent))).toEqual({ ok: true, message: sent })
    expect(normalised({ ...sent, message_type: 'V0JobRequest' })).toEqual(normalised(message))
  })

  const reports = framesOf(executor).filter(({ type }) => type !== 'GenericError')
  it.each(reports)('$type $shows', frame => {
    const message = parsed(minerExecutor.parseFromExecutor, frame)
    if (message.message_type === 'GenericError') throw new Error()
    const report = reportFromV0Executor(message)
    if (message.message_type === 'V0FinishedRequest') {
      expect(report).toMatchObject({ type: 'finish', output: { stdout: message.docker_process_stdout } })
    } else if (message.message_type === 'V0FailedRequest') {
      const { docker_process_exit_status: exitStatus, timeout, docker_process_stderr: stderr } = message
      expect(report).toMatchObject({ type: 'fail', failure: { exitStatus, printed: { stderr } } })
      expect(report.type === 'fail' && report.failure.reason === 'timeout').toBe(timeout)
    } else expect(report.type).toBe(message.message_type === 'V0ReadyRequest' ? 'ready' : 'not-prepared')
    expect(report.jobUuid).toBe(message.job_uuid)
  })
})

describe('what v0 cannot express', () => {
  const work: JobWork = {
    ...{ jobUuid: 'x' as never, image: 'img', script: null, preset: 'none', args: [], env: {} },
    ...{ volumes: [], uploads: NO_UPLOADS, artifactsFolder: null },
  }
  const zip = { kind: 'inline-zip', base64: '', folder: null } as const

  it('is named, and never sent', () => {
    const upload = { url: 'u', path: 'p', headers: {}, method: 'PUT' } as const
    const cases: [Partial<JobWork>, string][] = [
      [{ script: 's' }, 'a script together with an image'],
      [{ env: { A: '' } }, 'environment variables'],
      [{ artifactsFolder: '/a' }, 'an artifacts folder'],
      [{ uploads: { ...NO_UPLOADS, files: [upload] } }, 'uploads of single files'],
      [{ volumes: [zip, zip] }, 'more than one volume'],
      [{ volumes: [{ kind: 'file-url', url: 'u', path: 'p' }] }, 'a volume that is a single file'],
      [{ volumes: [{ ...zip, folder: 'a' }] }, 'a volume in a folder of its own'],
    ]
    for (const [part, obstacle] of cases) {
      const job = { ...work, ...part }
      expect(v0Obstacle(job)).toBe(obstacle)
      expect(() => requestToV0({ type: 'work', ...job })).toThrow(NotInV0Error)
    }
  })

  it('is nothing of a job without input and output', () => {
    expect(v0Obstacle(work)).toBeUndefined()
    expect(requestToV0({ type: 'work', ...work })).toMatchObject({
      volume: { volume_type: 'inline' },
      output_upload: null,
    })
  })
})
