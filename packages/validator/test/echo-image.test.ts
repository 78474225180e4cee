import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { fromBufferPromise } from 'yauzl'
import { echoBenchmark } from '../src/benchmarks/echo.ts'

const run = promisify(execFile)

it('the echo image says what the benchmark put into its input', async () => {
  const benchmark = echoBenchmark({ image: 'compute-horde/echo:v0', timeoutSeconds: 30, referenceSeconds: 2 })
  const { image, command, input, challenge } = await benchmark.prepare(0)
  const folder = await mkdtemp(join(tmpdir(), 'echo-'))
  try {
    // The image's user is not this one.
    await chmod(folder, 0o755)
    for (const { name, bytes } of await unzipped(Buffer.from(input ?? '', 'base64'))) {
      await writeFile(join(folder, name), bytes, { mode: 0o644 })
    }
    const args = ['run', '--rm', '--network', 'none', '-v', `${folder}:/volume:ro`, image, ...command]
    const { stdout, stderr } = await run('docker', args)
    expect(benchmark.verify(challenge, { stdout, stderr })).toMatchObject({ score: 1 })
  } finally {
    await rm(folder, { recursive: true })
  }
})

async function unzipped(zip: Buffer): Promise<{ name: string; bytes: Buffer }[]> {
  const files: { name: string; bytes: Buffer }[] = []
  const opened = await fromBufferPromise(zip)
  for await (const entry of opened.eachEntry()) {
    files.push({ name: entry.fileName, bytes: await buffer(await opened.openReadStreamPromise(entry)) })
  }
  return files
}
