import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import type { InputFile } from '../input-tree.ts'

/** Files up to this size, in bytes, are read at once: a stream would cost more than the file. */
const AT_ONCE_BYTES = 65_536

/** Returns a downloaded file as one of a job's input. Nothing is held open. */
export async function fileOnDisk(path: string): Promise<InputFile> {
  const { size } = await stat(path)
  return {
    size,
    isExecutable: false,
    contents: async () => (size <= AT_ONCE_BYTES ? await readFile(path) : createReadStream(path)),
  }
}
