import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { result } from '@horde/testing/jobs/executor-job'
import { WAIT_MS } from '@horde/testing/limits'
import { UploadServer } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { JobFailure } from '../../src/job/job-failure.ts'
import { type OutputLimits, zipOutputs } from '../../src/uploads/zip-outputs.ts'

const LOCAL = { ALLOW_PRIVATE_TARGETS: 'true' }

let miner: TestMiner
let store: UploadServer
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outputs-test-'))
  miner = await TestMiner.start()
  store = await UploadServer.start()
})
beforeEach(() => store.clear())
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const WRITER = `
import os, sys
os.makedirs("/output/deep/er")
open("/output/deep/er/a.txt", "w").write("a")
open("/output/b.bin", "w").write("b")
os.chmod("/output/b.bin", 0)
os.symlink("/etc/passwd", "/output/link")
os.symlink("/etc", "/output/folder-link")
os.mkfifo("/output/pipe")
os.mkdir("/output/empty")
open("/output/C:x", "w").write("c")
open("/output/..\\\\..\\\\up", "w").write("d")
open("/output/stdout.txt", "w").write("forged")
print("printed")
sys.stderr.write("complained")
`
const WRITTEN = {
  'deep/er/a.txt': 'a',
  'b.bin': 'b',
  C_x: 'c',
  '.._.._up': 'd',
  'stdout.txt': 'printed\n',
  'stderr.txt': 'complained',
}

describe('the outputs of a job', () => {
  test('are put as a zip with its length, without links and special files', async () => {
    const answer = await result(miner, { script: WRITER, upload: store.put() }, LOCAL)
    expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'printed\n' })
    expect(store.arrived).toHaveLength(1)
    expect(store.arrived[0]?.headers).toMatchObject({
      'content-type': 'application/zip',
      'content-length': String(store.arrived[0]?.zip.length),
    })
    expect(await store.texts()).toEqual(WRITTEN)
  })

  test('are posted as a form with the fields before the file', async () => {
    const form_fields = { key: 'a/b', 'odd"name\r\n': 'line\r\n--x', policy: 'é' }
    const upload = store.post(form_fields)
    const answer = await result(miner, { script: WRITER, upload }, LOCAL)
    expect(answer.message_type).toBe('V0FinishedRequest')
    expect(store.arrived[0]?.form).toEqual([
      'key=a/b',
      'odd%22name%0D%0A=line\r\n--x',
      'policy=é',
      'file: output.zip (application/zip)',
    ])
    expect(await store.texts()).toEqual(WRITTEN)
  })

  test('have a file under each of its hard-linked names', async () => {
    const script = `
import os
os.mkdir("/output/d")
open("/output/a", "w").write("linked")
open("/output/z", "w").write("other")
os.symlink("/etc/passwd", "/output/s")
for source, name in [("a", "b"), ("a", "d/c"), ("z", "y"), ("s", "t")]:
  os.link("/output/" + source, "/output/" + name, follow_symlinks=False)
`
    const answer = await result(miner, { script, upload: store.put() }, LOCAL)
    expect(answer.message_type).toBe('V0FinishedRequest')
    const { 'stdout.txt': _, 'stderr.txt': __, ...files } = await store.texts()
    expect(files).toEqual({ a: 'linked', b: 'linked', 'd/c': 'linked', z: 'other', y: 'other' })
  })

  test('count a file once for each of its names', async () => {
    const script = 'import os; open("/output/a", "w")\nfor i in range(3): os.link("/output/a", f"/output/{i}")'
    const answer = await result(miner, { script, upload: store.put() }, { ...LOCAL, OUTPUT_MAX_FILES: '3' })
    expect(answer.docker_process_stderr).toBe('There are too many output files\n')
  })

  test('of a failed job are uploaded too', async () => {
    const script = 'import sys; open("/output/trace", "w").write("t"); print("so far"); sys.exit(3)'
    const answer = await result(miner, { script, upload: store.put() }, LOCAL)
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', docker_process_exit_status: 3 })
    expect(await store.texts()).toEqual({ trace: 't', 'stdout.txt': 'so far\n', 'stderr.txt': '' })
  })

  test('have the whole texts byte for byte, also when the message has them cut', async () => {
    const script = 'import os; os.write(1, b"\\xff" + b"x" * 2_000_000)'
    await result(miner, { script, upload: store.put() }, LOCAL)
    const texts = await store.texts()
    expect(texts['stdout.txt']?.length).toBe(2_000_001)
  })
})

describe('the outputs are bounded', () => {
  /** Zips a tar with files of these sizes and returns the reason why it failed. */
  async function zipping(sizes: number[], limits: Partial<OutputLimits>): Promise<string> {
    const tar = pack()
    for (const [index, size] of sizes.entries()) tar.entry({ name: `output/${index}` }, randomBytes(size))
    tar.finalize()
    const texts = { stdoutPath: join(folder, 'empty'), stderrPath: join(folder, 'empty') }
    await writeFile(texts.stdoutPath, '')
    const all = { maxZipBytes: 1_000_000, maxBytes: 1_000_000, maxFiles: 100, ...limits }
    try {
      await zipOutputs(async () => tar as unknown as Readable, texts, folder, all, AbortSignal.timeout(WAIT_MS))
      return 'zipped'
    } catch (error) {
      expect(error).toBeInstanceOf(JobFailure)
      return (error as Error).message
    }
  }

  test.each([
    [[1, 1, 1], { maxFiles: 3 }, 'zipped'],
    [[1, 1, 1, 1], { maxFiles: 3 }, 'There are too many output files'],
    [[500, 500], { maxBytes: 1_000 }, 'zipped'],
    [[500, 501], { maxBytes: 1_000 }, 'The outputs are too large'],
    [[99_999, 1], { maxZipBytes: 50_000 }, 'The zip of the outputs is too large'],
  ])('files of %j bytes under %j: %s', async (sizes, limits, outcome) => {
    expect(await zipping(sizes, limits)).toBe(outcome)
  })

  test('in time: a late engine is not waited for, and its late answer is closed', async () => {
    const late = Promise.withResolvers<Readable>()
    const texts = { stdoutPath: join(folder, 'empty'), stderrPath: join(folder, 'empty') }
    const limits = { maxZipBytes: 1_000, maxBytes: 1_000, maxFiles: 100 }
    const zipped = zipOutputs(() => late.promise, texts, folder, limits, AbortSignal.timeout(100))
    await expect(zipped).rejects.toThrow('timeout')
    const tar = pack() as unknown as Readable
    const closed = new Promise(resolve => tar.once('close', resolve))
    late.resolve(tar)
    await closed
  })

  test('by the settings of the executor', async () => {
    const script = 'for i in range(4): open(f"/output/{i}", "w")'
    const answer = await result(miner, { script, upload: store.put() }, { ...LOCAL, OUTPUT_MAX_FILES: '3' })
    expect(answer.message_type).toBe('V0FailedRequest')
    expect(answer.docker_process_stderr).toBe('There are too many output files\n')
    expect(store.arrived).toHaveLength(0)
  })
})
