/** The codecs of link 2: what an executor knows of a job in the messages of either dialect, and its results as messages. */
import { describe, expect, test } from 'vitest'
import type { JobResult } from '../src/job/report.ts'
import { jobUuid } from '../src/primitives.ts'
import { answerToV0 } from '../src/v0/executor-codec.ts'
import { offerFromV0, workFromV0 } from '../src/v0/job-codec.ts'
import { parseFromMiner as parseV0 } from '../src/v0/miner-executor.ts'
import { answerToV2026 } from '../src/v2026/codec/executor-codec.ts'
import { offerFromV2026, workFromV2026 } from '../src/v2026/codec/request-codec.ts'
import { parseFromMiner as parseV2026 } from '../src/v2026/miner-executor.ts'
import { readVectors } from './v2026/vectors.ts'

const UUID = jobUuid.parse('b4793a02-33a2-4a49-b4e2-4a7b903847e7')

function v0(message: object) {
  const parsed = parseV0(JSON.stringify({ job_uuid: UUID, ...message }))
  if (!parsed.ok) throw parsed.error
  return parsed.message
}

const WORK_V0 = {
  message_type: 'V0RunJobRequest',
  docker_image_name: 'image',
  raw_script: '',
  docker_run_options_preset: 'none',
  docker_run_cmd: ['a'],
  volume: { volume_type: 'inline', contents: 'UEs=' },
}

/** Returns what the executor knows of this work. */
function workOfV0(fields: object) {
  const message = v0({ ...WORK_V0, ...fields })
  if (message.message_type !== 'V0RunJobRequest') throw new Error(message.message_type)
  return workFromV0(message)
}

describe('v0', () => {
  test('limits only the run of a job', () => {
    const message = v0({ message_type: 'V0PrepareJobRequest', volume_type: 'inline', timeout_seconds: 9 })
    if (message.message_type !== 'V0PrepareJobRequest') throw new Error(message.message_type)
    expect(offerFromV0(message, null)).toEqual({
      jobUuid: UUID,
      executorClass: null,
      image: null,
      limits: { kind: 'run', seconds: 9 },
      isStreaming: false,
      volumeKind: 'inline-zip',
      volumes: [],
    })
  })

  test('has one zip as volume, and perhaps one as upload, also of a job that failed', () => {
    expect(workOfV0({})).toEqual({
      jobUuid: UUID,
      image: 'image',
      script: null,
      preset: 'none',
      args: ['a'],
      env: {},
      volumes: [{ kind: 'inline-zip', base64: 'UEs=', folder: null }],
      uploads: { files: [], zip: null, afterFailure: false },
      artifactsFolder: null,
    })
    const volume = { volume_type: 'zip_url', contents: 'http://x/' }
    const output_upload = { output_upload_type: 'zip_and_http_post', url: 'http://y/', form_fields: { k: 'v' } }
    expect(workOfV0({ docker_image_name: null, raw_script: 'print()', volume, output_upload })).toMatchObject({
      image: null,
      script: 'print()',
      volumes: [{ kind: 'zip-url', url: 'http://x/', folder: null }],
      uploads: {
        files: [],
        zip: { url: 'http://y/', name: 'output.zip', format: 'portable', method: 'POST', formFields: { k: 'v' } },
        afterFailure: true,
      },
    })
  })

  const printed = { stdout: 'o', stderr: 'e' }
  const message = 'why'
  test.each([
    [
      { end: 'finished', ...printed, artifacts: null, uploadAnswers: null },
      { message_type: 'V0FinishedRequest', docker_process_stdout: 'o', docker_process_stderr: 'e' },
    ],
    [
      { end: 'failed', reason: 'nonzero-exit', stage: 'execution', message, exitStatus: 3, printed },
      failedV0(3, false, 'o', 'e'),
    ],
    [
      { end: 'failed', reason: 'timeout', stage: 'execution', message, exitStatus: null, printed },
      failedV0(null, true, 'o', 'e'),
    ],
    [
      { end: 'failed', reason: 'timeout', stage: 'volume-download', message, exitStatus: null, printed: null },
      failedV0(null, false, 'why', ''),
    ],
    [
      { end: 'failed', reason: 'upload-failed', stage: 'result-upload', message, exitStatus: 0, printed },
      failedV0(0, false, 'o', 'e'),
    ],
    [{ ...broken('generic-error', 'result-upload'), exitStatus: 0, printed }, failedV0(0, false, 'o', 'e')],
    [broken('unhandled-exception', 'execution'), failedV0(null, false, '', 'why\n')],
    [broken('generic-error', 'executor-startup'), { message_type: 'V0FailedToPrepare' }],
  ] as [JobResult, object][])('says the result %j', (result, answer) => {
    expect(answerToV0(UUID, result)).toEqual({ job_uuid: UUID, ...answer })
  })
})

function failedV0(docker_process_exit_status: number | null, timeout: boolean, stdout: string, stderr: string) {
  const texts = { docker_process_stdout: stdout, docker_process_stderr: stderr }
  return { message_type: 'V0FailedRequest', docker_process_exit_status, timeout, ...texts }
}

function broken(reason: string, stage: string) {
  return { end: 'broken', reason, stage, message: 'why', cause: null, exitStatus: null, printed: null }
}

interface Vector {
  link: number
  from: string
  message_type: string
  form: string
  frame: string
}

/** Returns the golden frame of a message with all its fields. */
function golden(from: string, type: string): string {
  const { frames } = readVectors<{ frames: Vector[] }>('frames.json')
  const found = frames.find(each => each.link === 2 && each.from === from && each.message_type === type)
  if (!found) throw new Error(`no golden frame of ${type}`)
  return found.frame
}

function v2026(type: string, fields: object) {
  const parsed = parseV2026(JSON.stringify({ ...JSON.parse(golden('M', type)), ...fields }))
  if (!parsed.ok) throw parsed.error
  return parsed.message
}

function offerOfV2026(fields: object) {
  const message = v2026('V0InitialJobRequest', fields)
  if (message.message_type !== 'V0InitialJobRequest') throw new Error(message.message_type)
  return offerFromV2026(message, UUID)
}

function workOfV2026(fields: object) {
  const message = v2026('V0JobRequest', fields)
  if (message.message_type !== 'V0JobRequest') throw new Error(message.message_type)
  return workFromV2026(message, UUID)
}

describe('v2026', () => {
  test('has a limit for each stage, or one for all', () => {
    const executor_timing = {
      allowed_leeway: 1,
      download_time_limit: 2,
      execution_time_limit: 3,
      upload_time_limit: -4,
      streaming_start_time_limit: 5,
    }
    const stages = { kind: 'stages', leeway: 1, download: 2, execution: 3, upload: 0, streamingStart: 5 }
    expect(offerOfV2026({ executor_timing, timeout_seconds: 300 }).limits).toEqual(stages)
    expect(offerOfV2026({ executor_timing: null, timeout_seconds: 300 }).limits).toEqual({
      kind: 'whole',
      seconds: 300,
    })
    expect(offerOfV2026({ executor_timing: null, timeout_seconds: null }).limits).toEqual({
      kind: 'whole',
      seconds: null,
    })
  })

  test('tells streaming jobs, and a job without an image', () => {
    const streaming_details = { public_key: 'pem', executor_ip: null }
    expect(offerOfV2026({ streaming_details, docker_image: null })).toMatchObject({ isStreaming: true, image: null })
    expect(offerOfV2026({ streaming_details: null, docker_image: 'i' })).toMatchObject({
      isStreaming: false,
      image: 'i',
    })
  })

  test('has volumes of every kind, alone and together', () => {
    const single = { volume_type: 'single_file', url: 'http://x/', relative_path: 'd/f' }
    expect(offerOfV2026({ volume: single }).volumes).toEqual([{ kind: 'file-url', url: 'http://x/', path: 'd/f' }])
    const hub = { volume_type: 'huggingface_volume', repo_id: 'a/b', repo_type: 'dataset', allow_patterns: '*.txt' }
    const volumes = [
      { volume_type: 'inline', contents: 'UEs=' },
      { volume_type: 'zip_url', contents: 'http://y/', relative_path: 'z' },
      single,
      { ...hub, revision: 'main', relative_path: 'h', token: 't' },
    ]
    expect(workOfV2026({ volume: { volume_type: 'multi_volume', volumes } }).volumes).toEqual([
      { kind: 'inline-zip', base64: 'UEs=', folder: null },
      { kind: 'zip-url', url: 'http://y/', folder: 'z' },
      { kind: 'file-url', url: 'http://x/', path: 'd/f' },
      {
        kind: 'hugging-face',
        repoId: 'a/b',
        repoType: 'dataset',
        revision: 'main',
        allowPatterns: ['*.txt'],
        token: 't',
        folder: 'h',
      },
    ])
    expect(workOfV2026({ volume: null }).volumes).toEqual([])
  })

  test('has uploads of every kind, and none of a job that failed', () => {
    const put = { output_upload_type: 'single_file_put', url: 'http://x/', relative_path: 'a' }
    const post = { ...put, output_upload_type: 'single_file_post', form_fields: { k: 'v' } }
    const file = { url: 'http://x/', path: 'a', headers: {} }
    const asPut = { ...file, method: 'PUT' }
    const asPost = { ...file, method: 'POST', formFields: { k: 'v' } }
    const zip = { output_upload_type: 'zip_and_http_put', url: 'http://z/' }
    const asZip = { url: 'http://z/', format: 'exact', method: 'PUT' }
    const uploads = (output_upload: unknown) => workOfV2026({ output_upload }).uploads
    expect(uploads(null)).toEqual({ files: [], zip: null, afterFailure: false })
    expect(uploads({ ...put, signed_headers: { H: '1' } }).files).toEqual([{ ...asPut, headers: { H: '1' } }])
    expect(uploads(zip)).toEqual({ files: [], zip: { ...asZip, name: 'output.zip' }, afterFailure: false })
    expect(uploads({ output_upload_type: 'multi_upload', uploads: [put, post], system_output: zip })).toEqual({
      files: [asPut, asPost],
      zip: { ...asZip, name: 'system_output' },
      afterFailure: false,
    })
  })

  test('says results as the frames of a Python executor have them', () => {
    const finished: JobResult = {
      end: 'finished',
      stdout: 'out\n',
      stderr: '',
      artifacts: { '/artifacts/r.txt': 'aGVsbG8=' },
      uploadAnswers: { 'o/1.bin': { headers: { etag: '"x"' }, body: '' } },
    }
    const answer = JSON.stringify(answerToV2026(UUID, finished))
    const spaced = '{\\"headers\\": {\\"etag\\": \\"\\\\\\"x\\\\\\"\\"}, \\"body\\": \\"\\"}'
    const compact = '{\\"headers\\":{\\"etag\\":\\"\\\\\\"x\\\\\\"\\"},\\"body\\":\\"\\"}'
    expect(answer.replace(compact, spaced)).toBe(golden('E', 'V0JobFinishedRequest'))

    const failed: JobResult = {
      end: 'failed',
      reason: 'nonzero-exit',
      stage: 'execution',
      message: 'Job container exited with non-zero exit code: 3',
      exitStatus: 3,
      printed: { stdout: 'o', stderr: 'e' },
    }
    const { context: _, ...wanted } = JSON.parse(golden('E', 'V0JobFailedRequest'))
    expect(JSON.stringify(answerToV2026(UUID, failed))).toBe(JSON.stringify({ ...wanted, context: null }))
  })

  test.each([
    ['generic-error', 'executor-startup', null, 'generic_error', { stage: 'executor_startup' }],
    ['streaming-failed', 'streaming-startup', null, 'streaming_failed', { stage: 'streaming_startup' }],
    [
      'unhandled-exception',
      'volume-download',
      'EngineError',
      'unhandled_exception',
      { exception_type: 'EngineError', stage: 'volume_download' },
    ],
  ] as const)('says whose fault it was: %s in %s', (reason, stage, cause, word, context) => {
    const result: JobResult = { end: 'broken', reason, stage, message: 'why', cause, exitStatus: null, printed: null }
    expect(answerToV2026(UUID, result)).toEqual({
      message_type: 'V0HordeFailedRequest',
      job_uuid: UUID,
      reported_by: 'executor',
      message: 'why',
      reason: word,
      context,
    })
  })
})
