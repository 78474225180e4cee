/**
 * The published validator client of 2026 (compute-horde on PyPI), unmodified, gives jobs to our miner, whose executors
 * run them in real containers. `bin/setup --sdks` installs it.
 */
import { randomUUID } from 'node:crypto'
import { TestWeb, UploadServer } from '@horde/testing/peers/http-target'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestMiner } from '../test/harness.ts'
import {
  type Job,
  type PythonValidator,
  program,
  startMinerForPython,
  startPythonValidator,
  TIMING,
} from './python-validator.ts'

const EXECUTORS = 10

/** Zips of one file each, in base64: inline.txt and remote.txt, with their names' first parts as contents. */
const ZIPPED = {
  inline:
    'UEsDBBQAAAAAAAAAIQD3XWtIBgAAAAYAAAAKAAAAaW5saW5lLnR4dGlubGluZVBLAQIUAxQAAAAAAAAAIQD3XWtIBgAAAAYAAAAKAAAAAAAAAAAAAACAAQAAAABpbmxpbmUudHh0UEsFBgAAAAABAAEAOAAAAC4AAAAAAA==',
  remote:
    'UEsDBBQAAAAAAAAAIQCyf7ZaBgAAAAYAAAAKAAAAcmVtb3RlLnR4dHJlbW90ZVBLAQIUAxQAAAAAAAAAIQCyf7ZaBgAAAAYAAAAKAAAAAAAAAAAAAACAAQAAAAByZW1vdGUudHh0UEsFBgAAAAABAAEAOAAAAC4AAAAAAA==',
}

let python: PythonValidator
let miner: TestMiner
beforeAll(async () => {
  python = startPythonValidator()
  miner = await startMinerForPython(EXECUTORS)
})
afterAll(async () => {
  await python[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

const give = (...jobs: Job[]) => python.give(miner.port, ...jobs)

describe('a job of the published validator client', () => {
  it('finishes', async () => {
    expect(await give(program('print("hello")'))).toEqual([
      { end: 'finished', stdout: 'hello\n', stderr: '', artifacts: {}, uploads: {} },
    ])
  })

  it('finishes without limits of its stages', async () => {
    expect(await give(program('print(1)', { job_timing: null }))).toMatchObject([{ end: 'finished', stdout: '1\n' }])
  })

  it('has the environment that it asks for, and no other variable of the validator', async () => {
    const code = 'import os; print(os.environ["GREETING"], os.environ["EMPTY"] == "")'
    const env = { GREETING: 'grüezi $PATH', EMPTY: '' }
    expect(await give(program(code, { env }))).toMatchObject([{ end: 'finished', stdout: 'grüezi $PATH True\n' }])
  })

  it('reads volumes of every kind, and delivers uploads of every kind and artifacts', async () => {
    await using inputs = await TestWeb.start((request, response) => {
      response.end(request.url === '/zip' ? Buffer.from(ZIPPED.remote, 'base64') : 'a single file')
    })
    await using outputs = await UploadServer.start((_, response) => {
      response.setHeader('X-Answer', 'yes')
      response.end('taken')
    })
    const code = `
import pathlib
volume, output = pathlib.Path("/volume"), pathlib.Path("/output")
names = sorted(str(path.relative_to(volume)) for path in volume.rglob("*") if path.is_file())
print([(name, (volume / name).read_text()) for name in names])
(output / "sub").mkdir()
for name in ["put.txt", "sub/post.txt", "rest.txt"]: (output / name).write_text(name + "!")
pathlib.Path("/artifacts/small.bin").write_bytes(bytes(range(256)))
`
    const volumes = [
      { volume_type: 'inline', contents: ZIPPED.inline, relative_path: null },
      { volume_type: 'zip_url', contents: inputs.url('/zip'), relative_path: 'below' },
      { volume_type: 'single_file', url: inputs.url('/file'), relative_path: 'deep/file.txt' },
    ]
    const uploads = [
      { output_upload_type: 'single_file_put', url: outputs.web.url('/put'), relative_path: 'put.txt' },
      {
        ...{ output_upload_type: 'single_file_post', url: outputs.web.url('/post'), relative_path: 'sub/post.txt' },
        form_fields: { key: 'value' },
      },
    ]
    const system_output = { output_upload_type: 'zip_and_http_put', url: outputs.web.url('/zip') }
    const [end] = await give(
      program(code, {
        volume: { volume_type: 'multi_volume', volumes },
        output: { output_upload_type: 'multi_upload', uploads, system_output },
        artifacts_dir: '/artifacts',
      }),
    )
    const files = [
      ['below/remote.txt', 'remote'],
      ['deep/file.txt', 'a single file'],
      ['inline.txt', 'inline'],
    ]
    const listed = files.map(([name, contents]) => `('${name}', '${contents}')`).join(', ')
    expect(end).toMatchObject({ end: 'finished', stdout: `[${listed}]\n` })
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value)).toString('base64')
    expect(end?.artifacts).toEqual({ '/artifacts/small.bin': bytes })
    const answers = Object.entries(end?.uploads as Record<string, string>).map(([name, answer]) => {
      const { headers, body } = JSON.parse(answer) as { headers: Record<string, string>; body: string }
      return [name, headers['x-answer'], body]
    })
    expect(answers.sort()).toEqual([
      ['put.txt', 'yes', 'taken'],
      ['sub/post.txt', 'yes', 'taken'],
      ['system_output', 'yes', 'taken'],
    ])
    expect(outputs.to('/put')?.zip.toString()).toBe('put.txt!')
    expect(outputs.to('/post')).toMatchObject({ form: ['key=value', expect.stringMatching(/^file: post\.txt/)] })
    expect(outputs.to('/post')?.zip.toString()).toBe('sub/post.txt!')
    expect(await outputs.texts('/zip')).toMatchObject({ 'rest.txt': 'rest.txt!', 'stderr.txt': '' })
    expect(Object.keys(await outputs.texts('/zip'))).not.toContain('put.txt')
  })

  it('runs beside nine others, and is declined as busy when all executors are', async () => {
    const jobs = Array.from({ length: EXECUTORS }, (_, index) => program(`import time; time.sleep(3); print(${index})`))
    const ends = await give(...jobs)
    expect(ends.map(({ end, stdout }) => [end, stdout])).toEqual(jobs.map((_, index) => ['finished', `${index}\n`]))
    const more = await give(...jobs.map(job => ({ ...job, job_uuid: randomUUID() })), program('print()'))
    expect(more.filter(({ end }) => end === 'finished')).toHaveLength(EXECUTORS)
    expect(more.find(({ end }) => end !== 'finished')).toMatchObject({ end: 'MinerRejectedJob', reason: 'busy' })
  })
})

describe('a job that fails says why, and in which stage', () => {
  const FAILED = 'MinerReportedJobFailed'
  const single = (relative_path: string, url: string) => ({
    output: { output_upload_type: 'single_file_put', url, relative_path },
  })

  it('with its exit status and both outputs', async () => {
    const code = 'import sys; print("out"); print("err", file=sys.stderr); sys.exit(3)'
    expect(await give(program(code))).toMatchObject([
      {
        ...{ end: FAILED, reason: 'nonzero_return_code', stage: 'execution', docker_process_exit_status: 3 },
        ...{ docker_process_stdout: 'out\n', docker_process_stderr: 'err\n' },
      },
    ])
  })

  it('when it runs too long', async () => {
    const limits = { ...TIMING, allowed_leeway: 4, download_time_limit: 1, execution_time_limit: 2 }
    const code = 'print("begun", flush=True); import time; time.sleep(60)'
    expect(await give(program(code, { job_timing: limits }))).toMatchObject([
      { end: FAILED, reason: 'timeout', stage: 'execution', docker_process_stdout: 'begun\n' },
    ])
  })

  it('when its input does not come in time', async () => {
    await using silent = await TestWeb.start(() => {})
    const volume = { volume_type: 'zip_url', contents: silent.url('/') }
    const limits = { ...TIMING, allowed_leeway: 2, download_time_limit: 2 }
    expect(await give(program('print()', { volume, job_timing: limits }))).toMatchObject([
      { end: FAILED, reason: 'timeout', stage: 'volume_download' },
    ])
  })

  it('when its input is not there, or its upload is refused', async () => {
    await using web = await TestWeb.start((_, response) => void response.writeHead(404).end())
    const volume = { volume_type: 'single_file', url: web.url('/'), relative_path: 'a' }
    const ends = await give(
      program('print()', { volume }),
      program('open("/output/a", "w")', single('a', web.url('/'))),
      program('print()', single('missing', web.url('/'))),
      program('import os; os.symlink("/etc/hostname", "/output/a")', single('a', web.url('/'))),
    )
    expect(ends.map(({ end, reason, stage }) => [end, reason, stage])).toEqual([
      [FAILED, 'download_failed', 'volume_download'],
      [FAILED, 'upload_failed', 'result_upload'],
      [FAILED, 'upload_failed', 'result_upload'],
      [FAILED, 'upload_failed', 'result_upload'],
    ])
    expect(web.requests.filter(request => request.startsWith('PUT'))).not.toHaveLength(0)
  })
})
