import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type Clock, manualClock, systemClock } from '@horde/kit/time'
import { PYTHON } from '@horde/testing/jobs/executor-job'
import { WAIT_MS } from '@horde/testing/limits'
import { expect, test } from 'vitest'
import { CapturedOutput } from '../src/engine/captured-output.ts'
import { Engine } from '../src/engine/container.ts'
import { type RunEnd, runContainer } from '../src/engine/run-container.ts'

/** The engine, seen by a reader that gets to the output only once the container has ended, or never. */
class LateReader extends Engine {
  readonly #ended = Promise.withResolvers<void>()
  readonly #everReads: boolean

  constructor({ everReads = true } = {}) {
    super()
    this.#everReads = everReads
  }

  override async attach(id: string): Promise<Readable> {
    const output = await super.attach(id)
    const ended = this.#ended.promise
    return Readable.from(
      (async function* () {
        await ended
        yield* output
      })(),
    )
  }

  override async waitForEnd(id: string, signal: AbortSignal): Promise<void> {
    await super.waitForEnd(id, signal)
    if (this.#everReads) this.#ended.resolve()
  }
}

/** Runs a container that prints so many bytes, under a cap of 1,000, and gives its end. */
async function endOfPrinting(bytes: number, engine: Engine, clock: Clock): Promise<RunEnd> {
  const folder = await mkdtemp(join(tmpdir(), 'run-container-test-'))
  const id = await engine.createContainer({
    Image: PYTHON,
    Cmd: ['python', '-c', `print("x" * ${bytes}, end="")`],
    HostConfig: { NetworkMode: 'none', LogConfig: { Type: 'none', Config: {} } },
  })
  try {
    await using output = await CapturedOutput.open(folder)
    const limits = { timeMs: 60_000, maxOutputBytes: 1_000 }
    return await runContainer(id, limits, { engine, output, clock }, AbortSignal.timeout(WAIT_MS))
  } finally {
    await engine.removeContainer(id)
    await rm(folder, { recursive: true })
  }
}

test.each([
  [1_000, { kind: 'exited', exitStatus: 0 }],
  [1_001, { kind: 'printed too much' }],
])('of a job that ends before its %d bytes are read none is lost in silence', async (bytes, end) => {
  expect(await endOfPrinting(bytes, new LateReader(), systemClock)).toMatchObject(end)
})

test('output that does not arrive in time is told of', async () => {
  const clock = manualClock()
  const ending = endOfPrinting(10, new LateReader({ everReads: false }), clock)
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
