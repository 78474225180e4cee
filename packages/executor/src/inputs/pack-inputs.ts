/** Packs a job's input for the workspace, file by file. */
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'
import type { FetchedInputs } from './fetch-volumes.ts'

/**
 * Returns a tar of everything that a job finds at its start: the input, an empty /output, and `further` texts by path.
 * Closes the input when the tar ends. The tar fails with InputFailure when a volume is at fault.
 */
export function packInputs(inputs: FetchedInputs, further: Record<string, string>, isWritable = false): Readable {
  const tar = pack()
  fill(tar, inputs, further, isWritable).then(
    () => tar.finalize(),
    error => tar.destroy(error as Error),
  )
  return tar as unknown as Readable
}

type Pack = ReturnType<typeof pack>

async function fill(
  tar: Pack,
  inputs: FetchedInputs,
  further: Record<string, string>,
  isWritable: boolean,
): Promise<void> {
  // In a writable /volume any uid may change files.
  const others = isWritable ? 0o022 : 0
  await using _ = inputs
  // Unpacking an entry may take minutes without giving a byte, so it is stopped when the archive is no longer read.
  tar.once('close', () => inputs.stop())
  // Any uid may write to /output, but only remove its own files (sticky bit).
  tar.entry({ name: 'output/', type: 'directory', mode: 0o1777 })
  tar.entry({ name: 'volume/', type: 'directory', mode: 0o755 | others })
  for (const [name, text] of Object.entries(further)) tar.entry({ name, mode: 0o644 }, text)
  // Each folder has an entry: those missing in the tar would get the engine's own modes.
  for (const [path, node] of inputs.tree.nodes) {
    const name = `volume/${path}`
    if (node === 'folder') tar.entry({ name, type: 'directory', mode: 0o755 | others })
    else {
      const header = { name, size: node.size, mode: (node.isExecutable ? 0o755 : 0o644) | others }
      try {
        await addFile(tar, header, await node.contents())
      } catch (error) {
        throw inputs.failureOf(error, node.volume)
      }
    }
  }
}

function addFile(
  tar: Pack,
  header: Parameters<Pack['entry']>[0],
  contents: Buffer | AsyncIterable<Buffer>,
): Promise<void> {
  if (!Buffer.isBuffer(contents)) return pipeline(contents, tar.entry(header) as unknown as NodeJS.WritableStream)
  return new Promise((resolve, reject) => {
    tar.entry(header, contents, error => (error ? reject(error) : resolve()))
  })
}
