/** A facilitator of v2026 gives jobs to our validator, which our miner and executor run in real containers. */
import { openDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { WAIT_MS } from '@horde/testing/limits'
import { TestWeb, UploadServer } from '@horde/testing/peers/http-target'
import { type Facilitator2026, startFacilitator2026, USER, userJob } from '@horde/testing/peers/v2026/facilitator'
import { startPostgres } from '@horde/testing/postgres'
import { migrationsFolder } from '@horde/validator/db/schema'
import { triesOf } from '@horde/validator/db/users/user-jobs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startHorde } from '../src/start-horde.ts'

const IMAGE = 'compute-horde/python:3.11'

/** Zips of one file each, in base64: inline.txt and remote.txt, with their names' first parts as contents. */
const ZIPPED = {
  inline:
    'UEsDBBQAAAAAAAAAIQD3XWtIBgAAAAYAAAAKAAAAaW5saW5lLnR4dGlubGluZVBLAQIUAxQAAAAAAAAAIQD3XWtIBgAAAAYAAAAKAAAAAAAAAAAAAACAAQAAAABpbmxpbmUudHh0UEsFBgAAAAABAAEAOAAAAC4AAAAAAA==',
  remote:
    'UEsDBBQAAAAAAAAAIQCyf7ZaBgAAAAYAAAAKAAAAcmVtb3RlLnR4dHJlbW90ZVBLAQIUAxQAAAAAAAAAIQCyf7ZaBgAAAAYAAAAKAAAAAAAAAAAAAACAAQAAAAByZW1vdGUudHh0UEsFBgAAAAABAAEAOAAAAC4AAAAAAA==',
}
const STAGES = ['received', 'accepted', 'executor_ready', 'volumes_ready', 'execution_done']

let stack: AsyncDisposableStack
let facilitator: Facilitator2026
let databaseUrl: string
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  facilitator = stack.use(await startFacilitator2026())
  const postgres = stack.use(await startPostgres())
  databaseUrl = await postgres.newDatabase()
  const horde = stack.use(
    await startHorde({
      ...{ miners: 1, executors: 'process', environment: process.env },
      settings: {
        miner: { ALLOW_PRIVATE_TARGETS: 'true', EXECUTOR_COUNT: '3' },
        validator: {
          ...{ FACILITATOR_URI: facilitator.uri, USER_KEYS: USER.ss58, DATABASE_URL: databaseUrl },
          ...{ BATCH_AT_START: 'false', BATCH_INTERVAL_SECONDS: '86400', LOG_LEVEL: 'info' },
        },
      },
    }),
  )
  await horde.startValidator(['serve']).line('validator started', WAIT_MS)
  await facilitator.until(() => facilitator.peers.length > 0)
  // The validator may have asked the miner before that was ready, and asks it again some time later.
  const isKnown = async () => (await facilitator.ask(program('print()'))).at(-1)?.status === 'completed'
  await vi.waitUntil(isKnown, { timeout: WAIT_MS, interval: 2_000 })
})
afterAll(() => stack[Symbol.asyncDispose]())

/** A job that runs a Python program. */
function program(code: string, fields: object = {}) {
  return userJob({ docker_image: IMAGE, args: ['python', '-c', code], ...fields })
}

/** Returns what the validator's database says of a job's only try. */
async function endOf(uuid: string) {
  await using database = await openDatabase({ url: databaseUrl, migrationsFolder, log: silentLog })
  const [only] = await triesOf(database.db, uuid)
  return { state: only?.state, reason: only?.reason, stage: only?.stage }
}

it('runs a job with environment, volumes of three kinds, two single uploads and artifacts', async () => {
  await using inputs = await TestWeb.start((request, response) => {
    response.end(request.url === '/zip' ? Buffer.from(ZIPPED.remote, 'base64') : 'a single file')
  })
  await using outputs = await UploadServer.start((_, response) => {
    response.setHeader('X-Answer', 'yes')
    response.end('taken')
  })
  const code = `
import os, pathlib
volume, output = pathlib.Path("/volume"), pathlib.Path("/output")
names = sorted(str(path.relative_to(volume)) for path in volume.rglob("*") if path.is_file())
print(os.environ["GREETING"], [(name, (volume / name).read_text()) for name in names])
(output / "sub").mkdir()
for name in ["put.bin", "sub/post.bin"]: (output / name).write_bytes(bytes(range(256)) * 1000 + name.encode())
pathlib.Path("/artifacts/small.bin").write_bytes(bytes(range(256)))
`
  const job = program(code, {
    ...{ env: { GREETING: 'grüezi $PATH' }, artifacts_dir: '/artifacts' },
    volume: {
      volume_type: 'multi_volume',
      volumes: [
        { volume_type: 'inline', contents: ZIPPED.inline },
        { volume_type: 'zip_url', contents: inputs.url('/zip'), relative_path: 'below' },
        { volume_type: 'single_file', url: inputs.url('/file'), relative_path: 'deep/file.txt' },
      ],
    },
    output_upload: {
      output_upload_type: 'multi_upload',
      uploads: [
        { output_upload_type: 'single_file_put', url: outputs.web.url('/put'), relative_path: 'put.bin' },
        {
          ...{ output_upload_type: 'single_file_post', url: outputs.web.url('/post'), relative_path: 'sub/post.bin' },
          form_fields: { key: 'value' },
        },
      ],
    },
  })
  const updates = await facilitator.ask(job)
  expect(updates.map(({ status }) => status)).toEqual([...STAGES, 'completed'])
  const response = updates.at(-1)?.metadata?.miner_response
  const files = "[('below/remote.txt', 'remote'), ('deep/file.txt', 'a single file'), ('inline.txt', 'inline')]"
  expect(response).toMatchObject({ docker_process_stdout: `grüezi $PATH ${files}\n`, docker_process_stderr: '' })
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value))
  expect(response?.artifacts).toEqual({ '/artifacts/small.bin': bytes.toString('base64') })
  expect(Object.keys(response?.upload_results ?? {}).sort()).toEqual(['put.bin', 'sub/post.bin'])
  for (const answer of Object.values(response?.upload_results ?? {})) {
    expect(JSON.parse(answer)).toMatchObject({ headers: { 'x-answer': 'yes' }, body: 'taken' })
  }
  const expected = (name: string) => Buffer.concat([...Array.from({ length: 1000 }, () => bytes), Buffer.from(name)])
  expect(outputs.to('/put')?.zip.equals(expected('put.bin'))).toBe(true)
  expect(outputs.to('/post')?.zip.equals(expected('sub/post.bin'))).toBe(true)
  expect(outputs.to('/post')?.form[0]).toBe('key=value')
  expect(await endOf(job.uuid)).toEqual({ state: 'finished', reason: null, stage: null })
  expect(facilitator.malformed).toEqual([])
})

describe('a job that exceeds the limit of a stage says which, at the validator and to the facilitator', () => {
  const timeout = { reason: 'timeout', docker_process_exit_status: null }

  it('of the download', async () => {
    await using silent = await TestWeb.start(() => {})
    const volume = { volume_type: 'zip_url', contents: silent.url('/') }
    const job = program('print()', { volume, download_time_limit: 1 })
    const last = (await facilitator.ask(job)).at(-1)
    expect(last).toMatchObject({
      status: 'failed',
      metadata: { job_failure_details: { ...timeout, stage: 'volume_download' }, horde_failure_details: null },
    })
    expect(await endOf(job.uuid)).toEqual({ state: 'failed', reason: 'time-limit', stage: 'volume-download' })
  })

  it('of the run', async () => {
    const code = 'print("begun", flush=True); import time; time.sleep(60)'
    const job = program(code, { download_time_limit: 1, execution_time_limit: 2 })
    const last = (await facilitator.ask(job)).at(-1)
    expect(last).toMatchObject({
      status: 'failed',
      metadata: { job_failure_details: { ...timeout, stage: 'execution', docker_process_stdout: 'begun\n' } },
    })
    expect(await endOf(job.uuid)).toEqual({ state: 'failed', reason: 'time-limit', stage: 'execution' })
  })

  it('of the upload', async () => {
    await using silent = await TestWeb.start(() => {})
    const output_upload = { output_upload_type: 'single_file_put', url: silent.url('/'), relative_path: 'a' }
    const limits = { download_time_limit: 1, execution_time_limit: 1, upload_time_limit: 1 }
    const job = program('open("/output/a", "w").write("a")', { output_upload, ...limits })
    const updates = await facilitator.ask(job)
    expect(updates.map(({ status }) => status)).toEqual([...STAGES, 'failed'])
    expect(updates.at(-1)).toMatchObject({
      metadata: { job_failure_details: { reason: 'timeout', stage: 'result_upload' } },
    })
    expect(await endOf(job.uuid)).toMatchObject({ state: 'failed', stage: 'result-upload' })
  })
})
