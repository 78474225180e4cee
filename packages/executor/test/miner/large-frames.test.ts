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
  await connection.send(wanted.work)
  const answer = await resultOn(connection)
  await expectGoodEnd(executor, connection)
  await expectNothingLeft(wanted, executor)
  return answer
}

test('names its capabilities in its upgrade request', async () => {
  let capabilities: unknown
  await using server = await TestWeb.start((request, response) => {
    capabilities = request.headers['x-horde-capabilities']
    response.writeHead(401).end()
  })
  const executor = miner.spawn({ MINER_ADDRESS: `ws://127.0.0.1:${server.port}` })
  expect(await executor.exit()).toBe(1)
  expect(capabilities).toBe('2026, large-frames')
})

test('sends a million characters of each stream to a miner with large-frames', async () => {
  const answer = await resultFor(['later', 'large-frames'])
  expect(answer.docker_process_stdout === 'ü'.repeat(900_000)).toBe(true)
  expect(answer.docker_process_stderr.length).toBeGreaterThan(MAX_OUTPUT_CHARACTERS - 100)
  expect(answer.docker_process_stderr.length).toBeLessThanOrEqual(MAX_OUTPUT_CHARACTERS)
  expect(/^heade+\n\[… \d+ characters cut …\]\ne+tail$/.test(answer.docker_process_stderr)).toBe(true)
})

/** JSON as Python writes it: a v0 miner writes the result again for its validator, which accepts 1 MiB. */
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

test.each([undefined, null, [], ['later']])(
  'sends a small frame to a miner with the capabilities %j',
  async capabilities => {
    expect(Buffer.byteLength(JSON.stringify(await resultFor(capabilities)))).toBeLessThanOrEqual(SMALL_FRAME_BYTES)
  },
)
