import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import {
  expectGoodEnd,
  expectNothingLeft,
  job,
  PYTHON,
  readied,
  result,
  resultOn,
} from '@horde/testing/jobs/executor-job'
import { receive, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseIdentity } from '../../src/workspace/identity.ts'
import { engine } from '../engine.ts'

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
})
afterAll(() => miner[Symbol.asyncDispose]())

describe('a job that ends well', () => {
  test('the echo image prints its inline input', async () => {
    expect(await result(miner, { files: { 'payload.txt': 'hello, horde\n' } })).toMatchObject({
      message_type: 'V0FinishedRequest',
      docker_process_stdout: 'hello, horde\n',
      docker_process_stderr: '',
    })
  })

  test('a raw script runs under its own name and finds its input', async () => {
    const script = 'import sys\nprint(open("/volume/a/b.txt").read(), sys.argv)\n'
    const answer = await result(miner, { script, files: { 'a/b.txt': 'deep' } })
    expect(answer.docker_process_stdout).toBe("deep ['/script.py']\n")
  })

  test('a raw script is run by the command of the job, when there is one', async () => {
    const script = 'import sys\nprint(sys.argv[1:])\n'
    const answer = await result(miner, { script, args: ['python', '-u', '/script.py', 'a b', '$HOME', '*', '', '"'] })
    expect(answer.docker_process_stdout).toBe(`['a b', '$HOME', '*', '', '"']\n`)
  })

  test('arguments reach an image as they are', async () => {
    const args = ['python', '-c', 'import sys; print(sys.argv[1:])', '--flag=x y', '; ls', '', 'é']
    const answer = await result(miner, { image: PYTHON, args })
    expect(answer.docker_process_stdout).toBe("['--flag=x y', '; ls', '', 'é']\n")
  })

  test('very many arguments reach it too', async () => {
    const args = ['python', '-c', 'import sys; print(len(sys.argv))', ...Array(45_000).fill('x'.repeat(30))]
    expect((await result(miner, { image: PYTHON, args })).docker_process_stdout).toBe('45001\n')
  })

  test('a uuid in upper case is sent back as it came', async () => {
    const wanted = await job({ files: { 'payload.txt': 'x' } })
    const job_uuid = wanted.job_uuid.toUpperCase()
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.send({ ...wanted.offer, job_uuid })
    expect((await receive(connection, 'V0ReadyRequest')).job_uuid).toBe(job_uuid)
    await connection.send({ ...wanted.work, job_uuid })
    expect((await receive(connection, 'V0FinishedRequest')).job_uuid).toBe(job_uuid)
  })
})

describe('what a job prints', () => {
  test('arrives whole and in order on both streams, also when it is not UTF-8', async () => {
    const script = [
      'import os',
      'for i in range(3000):',
      '  os.write(1, b"%d \\xf0\\x9f\\x90" % i); os.write(2, b"e%d " % i); os.write(1, b"\\x91\\n")',
      'os.write(1, b"\\xff\\xfe bad \\xc3")',
    ].join('\n')
    const answer = await result(miner, { script })
    const lines = Array.from({ length: 3000 }, (_, i) => `${i} \u{1f411}\n`).join('')
    expect(answer.docker_process_stdout).toBe(`${lines}\ufffd\ufffd bad \ufffd`)
    expect(answer.docker_process_stderr).toBe(Array.from({ length: 3000 }, (_, i) => `e${i} `).join(''))
  })

  test('is cut in the middle so that the frame stays small', async () => {
    const script = 'print("head" + "x" * 3_000_000 + "tail")\nimport sys; sys.stderr.write("e" * 900_000 + "end")'
    const answer = await result(miner, { script })
    expect(JSON.stringify(answer).length).toBeLessThanOrEqual(1_000_000)
    expect(answer.docker_process_stdout).toMatch(/^headx+\n\[… \d+ characters cut …\]\nx+tail\n$/)
    expect(answer.docker_process_stderr).toMatch(/end$/)
  })

  test('kills the job above the limit, and stderr says so', async () => {
    const script = 'while True: print("x" * 1000)'
    const answer = await result(miner, { script }, { MAX_OUTPUT_BYTES: '100000' })
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', docker_process_exit_status: null, timeout: false })
    expect(answer.docker_process_stderr).toBe('The job was killed because it printed more than 100000 bytes.\n')
    expect(answer.docker_process_stdout.length).toBeGreaterThan(0)
  })
})

describe('a job that ends badly', () => {
  test('reports its exit status with both texts', async () => {
    const script = 'import sys; print("out"); sys.stderr.write("err"); sys.exit(7)'
    expect(await result(miner, { script })).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: 7,
      timeout: false,
      docker_process_stdout: 'out\n',
      docker_process_stderr: 'err',
    })
  })

  test('is killed at its time limit, and its container is removed', async () => {
    const script = 'import signal, time; signal.signal(15, signal.SIG_IGN); print("on", flush=True); time.sleep(600)'
    expect(await result(miner, { script, timeoutSeconds: 5 })).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: null,
      timeout: true,
      docker_process_stdout: 'on\n',
      docker_process_stderr: 'The job was killed after its 5 seconds.\n',
    })
  })

  test('an offer without a time limit gets the default one', async () => {
    const script = 'import time; time.sleep(600)'
    const answer = await result(miner, { script, timeoutSeconds: null }, { DEFAULT_TIMEOUT_SECONDS: '1' })
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', timeout: true })
  })

  test('a command that the image does not have', async () => {
    const answer = await result(miner, { image: PYTHON, args: ['no-such-program'] })
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', docker_process_exit_status: 127 })
    expect(answer.docker_process_stderr).toMatch(/\nThe image has no such command\.\n$/)
  })

  test('memory beyond its limit', async () => {
    const answer = await result(miner, { script: 'x = "x" * 10**9' }, { MEMORY_LIMIT_BYTES: `${128 * 1024 * 1024}` })
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', docker_process_exit_status: 137, timeout: false })
    expect(answer.docker_process_stderr).toMatch(/(ran|running) out of memory\.\n$/)
  })

  test.each([
    ['nvidia_all', 'The job asks for NVIDIA GPUs and this executor has none'],
    ['nvidia_some', 'The preset of the job is not known: none or nvidia_all'],
  ])('the preset %s on an executor without GPUs starts nothing', async (preset, why) => {
    const answer = await result(miner, { preset, files: { 'payload.txt': 'x' } })
    expect(answer).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: null,
      timeout: false,
      docker_process_stdout: why,
    })
  })

  test('an image that is missing when the work comes', async () => {
    const wanted = await job({ image: '127.0.0.1:1/no/such:image', offeredImage: null })
    const { executor, connection } = await readied(miner, wanted)
    await connection.send(wanted.work)
    const answer = await resultOn(connection)
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', docker_process_exit_status: null })
    expect(answer.docker_process_stdout).toBe('The registry of the image 127.0.0.1:1/no/such:image does not answer')
    await expectGoodEnd(executor, connection)
    await expectNothingLeft(wanted, executor)
  })
})

describe('a job that cannot be prepared', () => {
  async function failsToPrepare(offeredImage: string, env: Record<string, string> = {}) {
    const wanted = await job({ offeredImage })
    const executor = miner.spawn(env)
    const connection = await executor.connection()
    await connection.send(wanted.offer)
    expect((await receive(connection, 'V0FailedToPrepare')).job_uuid).toBe(wanted.job_uuid)
    await expectGoodEnd(executor, connection)
    return executor
  }
  const logOf = async (...asked: Parameters<typeof failsToPrepare>) => (await failsToPrepare(...asked)).log

  test('an image that is missing', async () => {
    expect(await logOf('127.0.0.1:1/no/such:image')).toContain(
      'The registry of the image 127.0.0.1:1/no/such:image does not answer',
    )
  })

  test('a registry that does not answer', async () => {
    const registry = createServer(() => {}).listen(0, '127.0.0.1')
    await once(registry, 'listening')
    const { port } = registry.address() as AddressInfo
    const log = await logOf(`127.0.0.1:${port}/slow/image`, { PULL_TIMEOUT_SECONDS: '1' })
    expect(log).toContain('not done within 1000 ms')
    registry.close()
  })

  test('an invalid image name', async () => {
    expect(await logOf('../containers/json?x=')).toContain('The image that the job names has no valid name')
  })

  test('an engine that does not answer', async () => {
    expect(await logOf(PYTHON, { DOCKER_HOST: 'unix:///nowhere/docker.sock' })).toContain('ENOENT')
  })

  test('GPUs that the engine does not offer', async () => {
    const { log, process } = await failsToPrepare(PYTHON, { EXECUTOR_GPU_DEVICE_IDS: '0,1' })
    expect(log).toContain("does not offer this executor's GPUs")
    // Other tests may be checking their GPUs at this moment.
    const left = await engine.containers.withLabel(EXECUTOR_LABEL)
    const owners = left.map(({ labels }) => parseIdentity(labels[EXECUTOR_LABEL] ?? ''))
    expect(owners.filter(owner => owner?.kind === 'process' && owner.pid === process.pid)).toEqual([])
  })
})

test('uses the image that IMAGE_ALIASES names', async () => {
  const env = { IMAGE_ALIASES: 'busy/echo=compute-horde/echo:v0' }
  const answer = await result(miner, { image: 'busy/echo', files: { 'payload.txt': 'hi' } }, env)
  expect(answer.docker_process_stdout).toBe('hi')
})
