import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/v0/job'
import { fromBufferPromise } from 'yauzl'

/** Unpacks a job's input (a zip file in base64) into a folder that the image's user can read, as an executor does. */
export async function jobVolume(input = EMPTY_ZIP_BASE64): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'job-volume-'))
  const zip = await fromBufferPromise(Buffer.from(input, 'base64'))
  for await (const entry of zip.eachEntry()) {
    await writeFile(join(path, entry.fileName), await buffer(await zip.openReadStreamPromise(entry)), { mode: 0o644 })
  }
  await chmod(path, 0o755)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}
