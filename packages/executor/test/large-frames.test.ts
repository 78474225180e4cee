import { SMALL_FRAME_BYTES } from '@horde/protocol/frame'
import { MAX_OUTPUT_CHARACTERS } from '@horde/protocol/shorten'
import { expectGoodEnd, expectNothingLeft, job, readied, resultOn } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, expect, test } from 'vitest'

const SCRIPT = 'import sys\nsys.stdout.write("ü" * 900_000)\nsys.stderr.write("head" + "e" * 2_000_000 + "tail")'

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
})
afterAll(() => miner[Symbol.asyncDispose]())

async function resultFor(capabilities: string[] | null | undefined, script = SCRIPT) {
  const wanted = await job({ script })
  const offer = { ...wanted.offer, ...(capabilities !== undefined && { capabilities }) }
  const { executor, connection } = await readied(miner, { ...wanted, offer })
  await connection.say(wanted.work)
  const answer = await resultOn(connection)
  await expectGoodEnd(executor, connection)
  await expectNothingLeft(wanted, executor)
  return answer
}

test('says in its upgrade request that it takes large frames', async () => {
  let told: unknown
  await using server = await TestWeb.start((request, response) => {
    told = request.headers['x-horde-capabilities']
    response.writeHead(401).end()
  })
  const executor = miner.spawn({ MINER_ADDRESS: `ws://127.0.0.1:${server.port}` })
  expect(await executor.exit()).toBe(1)
  expect(told).toBe('large-frames')
})

test('a miner that takes large frames gets a million characters of each stream', async () => {
  const answer = await resultFor(['later', 'large-frames'])
  expect(answer.docker_process_stdout === 'ü'.repeat(900_000)).toBe(true)
  expect(answer.docker_process_stderr.length).toBeGreaterThan(MAX_OUTPUT_CHARACTERS - 100)
  expect(answer.docker_process_stderr.length).toBeLessThanOrEqual(MAX_OUTPUT_CHARACTERS)
  expect(/^heade+\n\[… \d+ characters cut …\]\ne+tail$/.test(answer.docker_process_stderr)).toBe(true)
})

/** As Python writes it: a miner of 2024 writes a result anew for its validator, which takes 1 MiB. */
const inAscii = (message: object) =>
  JSON.stringify(message).replaceAll(/[^ -~]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

test.each(['\u017c', '\u{1f600}', '\u007f'])(
  'a result full of %j is small also when it is written anew in ASCII',
  async character => {
    const script = `import sys\nsys.stdout.write("${character}" * 400_000)`
    const answer = await resultFor(undefined, script)
    expect(inAscii(answer).length).toBeLessThanOrEqual(SMALL_FRAME_BYTES)
    expect(inAscii(answer).length).toBeGreaterThan(SMALL_FRAME_BYTES * 0.9)
    expect(answer.docker_process_stdout).toMatch(/characters cut/)
  },
)

test.each([undefined, null, [], ['later']])('a miner that tells %j gets a small frame', async capabilities => {
  expect(Buffer.byteLength(JSON.stringify(await resultFor(capabilities)))).toBeLessThanOrEqual(SMALL_FRAME_BYTES)
})
