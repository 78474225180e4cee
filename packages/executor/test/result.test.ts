import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { result } from './jobs.ts'
import { TestMiner } from './miner.ts'

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
})
afterAll(() => miner[Symbol.asyncDispose]())

describe('a job that ends well', () => {
  test('the echo image prints its inline input', async () => {
    const answer = await result(miner, { files: { 'payload.txt': 'hello, horde\n' } })
    expect(answer).toMatchObject({
      message_type: 'V0FinishedRequest',
      docker_process_stdout: 'hello, horde\n',
      docker_process_stderr: '',
    })
  })

  test('a raw script finds its input and its own place', async () => {
    const script = 'import sys\nprint(open("/volume/a/b.txt").read(), sys.argv)\n'
    const answer = await result(miner, { script, files: { 'a/b.txt': 'deep' } })
    expect(answer.docker_process_stdout).toBe("deep ['/script.py']\n")
  })
})
