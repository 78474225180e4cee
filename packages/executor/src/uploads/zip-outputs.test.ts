import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { zipOutputs } from './zip-outputs.ts'

const FILE_BYTES = 1_000_000

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outputs-'))
  for (const name of ['out', 'err']) await writeFile(join(folder, name), '')
})
afterAll(() => rm(folder, { recursive: true }))

/** Returns a tar of one incompressible file that calls `next` after its first half. */
async function halfTar(next: (tar: Readable) => void): Promise<Readable> {
  const tar = pack()
  tar.entry({ name: 'output/a', size: FILE_BYTES }, randomBytes(FILE_BYTES))
  tar.finalize()
  const whole = await buffer(tar as unknown as AsyncIterable<Buffer>)
  let isSent = false
  return new Readable({
    read() {
      if (isSent) return next(this)
      isSent = true
      this.push(whole.subarray(0, FILE_BYTES / 2))
    },
  })
}

const zip = (openTar: () => Promise<Readable>, maxZipBytes: number) =>
  zipOutputs(
    openTar,
    { stdoutPath: join(folder, 'out'), stderrPath: join(folder, 'err') },
    folder,
    { maxBytes: 2 * FILE_BYTES, maxFiles: 10, maxZipBytes },
    new AbortController().signal,
  )

test('fails the job when the zip becomes too large in the middle of a file', async () => {
  const tooLarge = zip(() => halfTar(() => {}), 100_000)
  await expect(tooLarge).rejects.toMatchObject({ name: 'JobFailure', message: 'The zip of the outputs is too large' })
})

test('rejects when the tar breaks off in the middle of a file', async () => {
  const broken = zip(() => halfTar(tar => tar.destroy(new Error('the engine is gone'))), 10_000_000)
  await expect(broken).rejects.toThrow('the engine is gone')
})
