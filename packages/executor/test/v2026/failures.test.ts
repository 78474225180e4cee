/** How jobs of a miner of 2026 fail: whose fault it was, why, and in which stage. */
import { WAIT_MS } from '@horde/testing/limits'
import { TestWeb } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HeldRegistry } from '../images/held-registry.ts'
import { AMPLE, filePut, Job2026 } from './job-2026.ts'

let miner: RawMiner
let spawner: TestMiner
/** Answers `/missing` with 404, and never answers anything else. */
let web: TestWeb
beforeAll(async () => {
  miner = await RawMiner.start()
  spawner = await TestMiner.start()
  web = await TestWeb.start((request, response) => {
    if (request.url === '/missing') response.writeHead(404).end()
  })
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await spawner[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

const HELD_BACK = 'the input could not be loaded; the miner hears of it once the job has its work'
const file = (path: string) => ({ volume_type: 'single_file', url: web.url(path), relative_path: 'f' })
/** Limits that leave some stages no time: `limits` in seconds, and nothing is kept from the stages before. */
const timing = (limits: Record<string, number>) => ({ executor_timing: { ...AMPLE, allowed_leeway: 0, ...limits } })

// These two groups run at once, because most of their time is the wait for a limit.
describe.concurrent('the time limit of a stage', () => {
  test('counts the wait for the work', async () => {
    const job = await Job2026.begin(miner, spawner, { offer: timing({ download_time_limit: 1 }) })
    await job.prepare()
    await job.expectFailed('timeout', 'volume_download')
  })

  test('ends the download of volumes, also of the offer', async () => {
    const job = await Job2026.begin(miner, spawner, {
      offer: { ...timing({ download_time_limit: 3 }), volume: file('/silent') },
    })
    await job.prepare()
    job.connection.send(job.work)
    await job.expectFailed('timeout', 'volume_download')
  })

  test('ends the run, which is told what it printed', async () => {
    const script = 'import time; print("so far", flush=True); time.sleep(1000)'
    const job = await Job2026.begin(miner, spawner, { script, offer: timing({ execution_time_limit: 10 }) })
    await job.prepare()
    job.connection.send(job.work)
    await job.expect('V0VolumesReadyRequest')
    await job.expectFailed('timeout', 'execution', {
      message: 'The job was killed after its 10 seconds.',
      docker_process_stdout: 'so far\n',
      docker_process_stderr: 'The job was killed after its 10 seconds.\n',
    })
  })

  test('ends the uploads', async () => {
    const script = 'open("/output/a", "w")'
    const job = await Job2026.begin(miner, spawner, {
      script,
      offer: { executor_timing: null, timeout_seconds: 25 },
      work: { output_upload: filePut(web.url('/silent'), 'a') },
    })
    await job.prepare()
    await job.run()
    await job.expectFailed('timeout', 'result_upload', {
      docker_process_exit_status: 0,
      docker_process_stdout: '',
      docker_process_stderr: expect.stringContaining('The output was not uploaded within'),
    })
  })
})

describe.concurrent('a job', () => {
  test('that exits with a status fails by it, and uploads nothing', async () => {
    const script = 'import sys; print("out"); open("/output/a", "w"); sys.stderr.write("err"); sys.exit(3)'
    const job = await Job2026.begin(miner, spawner, { script, work: { output_upload: filePut(web.url('/a'), 'a') } })
    await job.prepare()
    job.connection.send(job.work)
    await job.expect('V0VolumesReadyRequest')
    await job.expectFailed('nonzero_return_code', 'execution', {
      message: 'The job exited with status 3.',
      docker_process_exit_status: 3,
      docker_process_stdout: 'out\n',
      docker_process_stderr: 'err',
    })
    expect(web.requests).not.toContain('PUT /a')
  })

  test('whose volume is not there fails once it has its work', async () => {
    const job = await Job2026.begin(miner, spawner, { offer: { volume: file('/missing') } })
    await job.prepare()
    await expect.poll(() => job.executor.log, { timeout: WAIT_MS }).toContain(HELD_BACK)
    job.connection.send(job.work)
    await job.expectFailed('download_failed', 'volume_download', { message: expect.stringContaining('404') })
    expect(job.executor.log).toContain('"from":"loading","to":"answering"')
  })

  test('whose volume is not there fails by it also when its work does not come', async () => {
    const offer = { ...timing({ download_time_limit: 3 }), volume: file('/missing') }
    const job = await Job2026.begin(miner, spawner, { offer })
    await job.prepare()
    await job.expectFailed('download_failed', 'volume_download', { message: expect.stringContaining('404') })
    expect(job.executor.log).toContain(HELD_BACK)
  })

  test.each([
    ['is missing', 'pass'],
    ['is a link out of /output', 'import os; os.symlink("/etc/passwd", "/output/a")'],
    ['is a FIFO', 'import os; os.mkfifo("/output/a")'],
    ['is a folder', 'import os; os.mkdir("/output/a")'],
  ])('whose upload %s fails before any request', async (_, make) => {
    const uploads = [filePut(web.url('/good'), 'good'), filePut(web.url('/bad'), 'a')]
    const script = `open("/output/good", "w")\n${make}`
    const output_upload = { output_upload_type: 'multi_upload', uploads, system_output: null }
    const job = await Job2026.begin(miner, spawner, { script, work: { output_upload } })
    await job.prepare()
    await job.run()
    await job.expectFailed('upload_failed', 'result_upload', {
      docker_process_exit_status: 0,
      docker_process_stdout: '',
      docker_process_stderr: expect.stringContaining('missing or not a regular file'),
    })
    expect(web.requests).not.toContain('PUT /good')
  })

  test.each([
    [{ env: { 'a=b': 'x' } }, 'A variable of the job has no valid name or value'],
    [{ artifacts_dir: '/output' }, 'The artifacts folder cannot be where the job wants it'],
  ])('that cannot be run as requested fails: %j', async (work, message) => {
    const job = await Job2026.begin(miner, spawner, { work })
    await job.prepare()
    job.connection.send(job.work)
    let heard = await job.connection.receive()
    if ('message_type' in heard && heard.message_type === 'V0VolumesReadyRequest')
      heard = await job.connection.receive()
    expect(heard).toMatchObject({ message_type: 'V0JobFailedRequest', reason: 'unknown', stage: 'execution', message })
    await job.expectEnd()
  })
})

describe('the executor', () => {
  test('reports that it has no GPUs for a job that asks for them', async () => {
    const work = { docker_run_options_preset: 'nvidia_all' }
    const job = await Job2026.begin(miner, spawner, { work, env: { EXECUTOR_GPU_DEVICE_IDS: 'none' } })
    await job.prepare()
    job.connection.send(job.work)
    const message = 'The job asks for NVIDIA GPUs and this executor has none'
    await job.expectHordeFailed('generic_error', { stage: 'execution' }, message)
  })

  test('reports a job without any limit once it is ready', async () => {
    const job = await Job2026.begin(miner, spawner, { offer: { executor_timing: null } })
    await job.prepare()
    await job.expectHordeFailed('generic_error', { stage: 'executor_startup' }, 'The offer names no time limit')
  })

  test('reports volumes in both messages', async () => {
    const job = await Job2026.begin(miner, spawner, { offer: { volume: file('/x') }, work: { volume: file('/y') } })
    await job.prepare()
    job.connection.send(job.work)
    await job.expectHordeFailed('generic_error', { stage: 'volume_download' })
  })

  test('does not run streaming jobs', async () => {
    const offer = { streaming_details: { public_key: 'pem', executor_ip: null } }
    const job = await Job2026.begin(miner, spawner, { offer })
    job.connection.send(job.offer)
    const message = 'This executor does not run streaming jobs.'
    await job.expectHordeFailed('streaming_failed', { stage: 'streaming_startup' }, message)
  })

  test('reports that it was not ready in time', async () => {
    await using registry = await HeldRegistry.start()
    const offer = { docker_image: registry.image() }
    const job = await Job2026.begin(miner, spawner, { offer, startupSeconds: 3 })
    job.connection.send(job.offer)
    await job.expectHordeFailed('generic_error', { stage: 'executor_startup' })
  })

  test('leaves a miner that offers nothing', async () => {
    const job = await Job2026.begin(miner, spawner, { startupSeconds: 1 })
    expect(await job.connection.receive()).toEqual({ closed: 1000 })
    job.connection.close(1000)
    expect(await job.executor.exit()).toBe(1)
  })
})
