import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { systemClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { CapturedOutput } from '../src/engine/captured-output.ts'
import { Engine } from '../src/engine/container.ts'
import { runContainer } from '../src/engine/run-container.ts'
import { PYTHON } from './jobs.ts'

/** The engine, seen by a reader that gets to the output only once the container has ended. */
class LateReader extends Engine {
  readonly #ended = Promise.withResolvers<void>()

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
    this.#ended.resolve()
  }
}

test.each([
  [1_000, { kind: 'exited', exitStatus: 0 }],
  [1_001, { kind: 'printed too much' }],
])('of a job that ends before its %d bytes are read none is lost in silence', async (bytes, end) => {
  const engine = new LateReader()
  const folder = await mkdtemp(join(tmpdir(), 'run-container-test-'))
  const id = await engine.createContainer({
    Image: PYTHON,
    Cmd: ['python', '-c', `print("x" * ${bytes}, end="")`],
    HostConfig: { NetworkMode: 'none', LogConfig: { Type: 'none', Config: {} } },
  })
  try {
    await using output = await CapturedOutput.open(folder)
    const limits = { timeMs: 60_000, maxOutputBytes: 1_000 }
    const deps = { engine, output, clock: systemClock }
    expect(await runContainer(id, limits, deps, AbortSignal.timeout(30_000))).toMatchObject(end)
  } finally {
    await engine.removeContainer(id)
    await rm(folder, { recursive: true })
  }
})
