import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type Clock, manualClock, systemClock } from '@horde/kit/time'
import { PYTHON } from '@horde/testing/jobs/executor-job'
import { WAIT_MS } from '@horde/testing/limits'
import { expect, test } from 'vitest'
import { CapturedOutput } from '../../src/container/captured-output.ts'
import { type RunDeps, type RunEnd, runContainer } from '../../src/container/run-container.ts'
import { engine } from '../engine.ts'

/** The engine's containers, seen by a reader that gets to the output only once the container has ended, or never. */
function lateReader({ everReads = true } = {}): RunDeps['containers'] {
  const { containers } = engine
  const ended = Promise.withResolvers<void>()
  async function* readLate(output: Readable) {
    await ended.promise
    yield* output
  }
  return {
    start: id => containers.start(id),
    kill: id => containers.kill(id),
    endOf: id => containers.endOf(id),
    isRunning: id => containers.isRunning(id),
    wasSignalled: (id, finishedAt) => containers.wasSignalled(id, finishedAt),
    writtenBytes: id => containers.writtenBytes(id),
    attach: async id => Readable.from(readLate(await containers.attach(id))),
    waitForEnd: async (id, signal) => {
      const exitCode = await containers.waitForEnd(id, signal)
      if (everReads) ended.resolve()
      return exitCode
    },
  }
}

/** Runs a container that prints so many bytes, under a cap of 1,000, and returns how it ended. */
async function endOfPrinting(bytes: number, containers: RunDeps['containers'], clock: Clock): Promise<RunEnd> {
  const folder = await mkdtemp(join(tmpdir(), 'run-container-test-'))
  const id = await engine.containers.create({
    Image: PYTHON,
    Cmd: ['python', '-c', `print("x" * ${bytes}, end="")`],
    HostConfig: { NetworkMode: 'none', LogConfig: { Type: 'none', Config: {} } },
  })
  try {
    await using output = await CapturedOutput.open(folder)
    const limits = { timeMs: 60_000, maxOutputBytes: 1_000 }
    return await runContainer(id, limits, { containers, output, clock }, AbortSignal.timeout(WAIT_MS))
  } finally {
    await engine.containers.remove(id)
    await rm(folder, { recursive: true })
  }
}

test.each([
  [1_000, { kind: 'exited', exitStatus: 0 }],
  [1_001, { kind: 'printed too much' }],
])('loses no output of a job that ends before its %d bytes are read', async (bytes, end) => {
  expect(await endOfPrinting(bytes, lateReader(), systemClock)).toMatchObject(end)
})

test('notes output that does not arrive in time', async () => {
  const clock = manualClock()
  const ending = endOfPrinting(10, lateReader({ everReads: false }), clock)
  // The job's own time limit sleeps from the start, the wait for its output from its end.
  await clock.whenSleeping(2)
  await clock.advance(10_000)
  expect(await ending).toEqual({
    kind: 'exited',
    exitStatus: 0,
    note: expect.stringContaining('did not arrive'),
    wasCut: true,
  })
})
