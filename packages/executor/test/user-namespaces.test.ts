/** An engine that gives containers users of their own: root in a job is nobody on the host. */

import { FIRST_REMAPPED_ID, PrivateEngine } from '@horde/kit/testing/private-engine'
import { expect, test } from 'vitest'
import { PYTHON, result } from './jobs.ts'
import { TestMiner } from './miner.ts'
import { textsIn } from './read-zip.ts'
import { UploadServer } from './uploads.ts'
import { expectWhole, ready, warmed, wholeJob } from './warm.ts'
import { TestWeb } from './web.ts'

test('gives a job its input and takes its results with user namespaces', async () => {
  const bodies: Buffer[] = []
  await using web = await TestWeb.start(async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()))
    response.end()
  })
  await using engine = await PrivateEngine.start({ userNamespaces: true })
  await engine.load(PYTHON)
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
  await using engine = await PrivateEngine.start({ userNamespaces: true })
  await engine.load(PYTHON)
  await using miner = await TestMiner.start()
  const [warm, wanted] = [await warmed(miner, { DOCKER_HOST: engine.dockerHost }), await wholeJob(uploads)]
  await ready(warm, wanted)
  await warm.connection.say(wanted.work)
  await expectWhole(warm, uploads)
  expect(warm.executor.log).not.toContain('it is made anew')
  expect(await engine.docker('ps', '--all', '--quiet')).toBe('')
})
