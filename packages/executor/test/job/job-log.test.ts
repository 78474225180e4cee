/** What an executor logs about the end of a job, and what it never logs because strangers chose it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { TrialImages } from '@horde/testing/hostile/trial-images'
import { expectGoodEnd, type JobParts, job, PYTHON, readied, resultOn } from '@horde/testing/jobs/executor-job'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { untilRunning } from '../container/running.ts'

const MIB = 1024 * 1024
const ENDED = 'job container ended'
const NOT_RUN = 'the job cannot be run as requested'

let miner: TestMiner
let images: TrialImages
beforeAll(async () => {
  miner = await TestMiner.start()
  images = new TrialImages()
})
afterAll(async () => {
  await miner[Symbol.asyncDispose]()
  await images[Symbol.asyncDispose]()
})

async function docker(...args: string[]): Promise<string> {
  return (await promisify(execFile)('docker', args)).stdout.trim()
}

/** Runs a job. Returns all that its executor logged. */
async function logOf(parts: JobParts, env: Record<string, string> = {}): Promise<string> {
  const wanted = await job(parts)
  const { executor, connection } = await readied(miner, wanted, env)
  await connection.send(wanted.work)
  await resultOn(connection)
  await expectGoodEnd(executor, connection)
  return executor.log
}

/** The fields of the one line with this message. */
function line(log: string, message: string): Record<string, unknown> {
  const lines = log
    .trim()
    .split('\n')
    .map(text => JSON.parse(text))
  const found = lines.filter(({ msg }) => msg === message)
  expect(found).toHaveLength(1)
  return found[0]
}

describe('logs each kind of end', () => {
  test.each<[string, JobParts, Record<string, string>, object]>([
    ['good', { script: 'pass' }, {}, { end: 'exited', exitStatus: 0, why: null }],
    ['its own status', { script: 'exit(127)' }, {}, { end: 'exited', exitStatus: 127, why: null }],
    ['no command', { image: PYTHON, args: ['none'] }, {}, { end: 'exited', exitStatus: 127, why: 'no such command' }],
    [
      'no program',
      { image: PYTHON, args: ['/etc'] },
      {},
      { end: 'exited', exitStatus: 126, why: 'command cannot be run' },
    ],
    [
      'killed',
      { script: 'import os; os.kill(os.getpid(), 9)' },
      {},
      { end: 'exited', exitStatus: 137, why: 'killed from outside' },
    ],
    ['time', { script: 'import time; time.sleep(60)', timeoutSeconds: 1 }, {}, { end: 'timed out', exitStatus: null }],
    ['output', { script: 'print("x" * 9_000)' }, { MAX_OUTPUT_BYTES: '5000' }, { end: 'printed too much' }],
  ])('%s', async (_, parts, env, fields) => {
    expect(line(await logOf(parts, env), ENDED)).toMatchObject(fields)
  })

  test('memory', async () => {
    const script = `
import os, time
if os.fork() == 0: x = "x" * 10**9
os.wait()
while not os.path.exists("/tmp/go"): time.sleep(0.05)
exit(5)`
    const wanted = await job({ script })
    const { executor, connection } = await readied(miner, wanted, { MEMORY_LIMIT_BYTES: `${128 * MIB}` })
    await connection.send(wanted.work)
    const id = await untilRunning(wanted)
    // The engine notices it some time after the job's own process does.
    const filters = ['--filter', 'event=oom', '--filter', `container=${id}`]
    const events = () => docker('events', '--since', '10m', '--until', String(Date.now() / 1000), ...filters)
    await expect.poll(events).not.toBe('')
    await docker('exec', '--detach', id, 'touch', '/tmp/go')
    await resultOn(connection)
    await expectGoodEnd(executor, connection)
    expect(line(executor.log, ENDED)).toMatchObject({ end: 'exited', exitStatus: 5, why: 'out of memory' })
  })

  test.each<[string, JobParts, Record<string, string>, string]>([
    [
      'no image',
      { image: '127.0.0.1:1/no/such:image', offeredImage: null },
      {},
      'The registry of the image 127.0.0.1:1/no/such:image does not answer',
    ],
    ['no GPUs', { preset: 'nvidia_all' }, {}, 'The job asks for NVIDIA GPUs and this executor has none'],
    ['input', { files: { a: 'x'.repeat(999) } }, { VOLUME_MAX_SIZE_BYTES: '500' }, 'Input volume too large'],
  ])('%s', async (_, parts, env, why) => {
    expect(line(await logOf(parts, env), NOT_RUN)).toMatchObject({ level: 'info', why })
  })

  test('an image that cannot be started', async () => {
    const image = await images.ready('user', { changes: ['USER no-such-user'] })
    expect(line(await logOf({ image }), ENDED)).toMatchObject({ end: 'not started', exitStatus: null })
  })

  test('an upload that failed', async () => {
    const upload = { output_upload_type: 'zip_and_http_put', url: 'http://127.0.0.1/' }
    expect(line(await logOf({ script: 'pass', upload }), 'the outputs were not delivered')).toMatchObject({
      level: 'info',
      why: 'Output URL refused: it points into a private network',
    })
  })
})

test('logs nothing that the author of a job chose, except the names of images', async () => {
  const url = 'https://secret-user:secret-password@127.0.0.1/secret-path?X-Amz-Signature=secret'
  const upload = { output_upload_type: 'zip_and_http_post', url, form_fields: { 'secret-field': 'secret' } }
  const script = 'import sys; print("secret"); print("secret", file=sys.stderr); open("/output/secret", "w"); exit(3)'
  const args = ['python', '/script.py', '--secret']
  const none = { image: PYTHON, args: ['secret-program'], upload }
  const image = await images.ready('odd', {
    changes: ['ENV SECRET=secret', 'USER secret', 'WORKDIR /etc/passwd/secret'],
  })
  const started = await images.ready('user', { changes: ['USER secret'] })
  const remote = { volume_type: 'zip_url', contents: url }
  const zip = { volume_type: 'inline', contents: Buffer.from('secret').toString('base64') }
  const logs = await Promise.all([
    logOf({ script, args, files: { 'secret/secret': 'secret' }, upload }),
    logOf(none),
    logOf({ image }),
    logOf({ image: started }),
    logOf({ volume: remote }),
    logOf({ volume: zip }),
    logOf({ image: PYTHON, preset: 'secret' }),
  ])
  expect(logs.filter(log => log.includes('secret'))).toEqual([])
})
