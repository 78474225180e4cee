/** An engine that gives containers users of their own: root in a job has no rights on the host. */

import { PYTHON, result } from '@horde/testing/jobs/executor-job'
import { TestWeb, UploadServer } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { FIRST_REMAPPED_ID, PrivateEngine } from '@horde/testing/private-engine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectWhole, ready, warmed, wholeJob } from '../job/warm.ts'
import { textsIn } from '../zip/read-zip.ts'

let engine: PrivateEngine
beforeAll(async () => {
  engine = await PrivateEngine.start({ userNamespaces: true })
  await engine.load(PYTHON)
})
afterAll(() => engine?.[Symbol.asyncDispose]())

test('gives a job its input and takes its results with user namespaces', async () => {
  const bodies: Buffer[] = []
  await using web = await TestWeb.start(async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()))
    response.end()
  })
  await using miner = await TestMiner.start()
  const script = `
import os
open("/output/result", "w").write(open("/volume/input").read())
open("/tmp/scratch", "w").write("x")
print(open("/proc/self/uid_map").read().split()[1])
`
  const upload = { output_upload_type: 'zip_and_http_put', url: web.url('/') }
  const env = { DOCKER_HOST: engine.dockerHost, ALLOW_PRIVATE_TARGETS: 'true' }
  const answer = await result(miner, { script, upload, files: { input: 'of the job' } }, env)
  expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: `${FIRST_REMAPPED_ID}\n` })
  expect(bodies).toHaveLength(1)
  expect(await textsIn(bodies[0] ?? Buffer.alloc(0))).toMatchObject({ result: 'of the job' })
  expect(await engine.docker('ps', '--all', '--quiet')).toBe('')
  expect(await engine.docker('volume', 'ls', '--quiet')).toBe('')
})

test('does the same where the job was prepared ahead', async () => {
  await using uploads = await UploadServer.start()
  await using miner = await TestMiner.start()
  const [warm, wanted] = [await warmed(miner, { DOCKER_HOST: engine.dockerHost }), await wholeJob(uploads)]
  await ready(warm, wanted)
  await warm.connection.send(wanted.work)
  await expectWhole(warm, uploads)
  expect(warm.executor.log).not.toContain('making it again')
  expect(await engine.docker('ps', '--all', '--quiet')).toBe('')
})
