import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { OutputUpload } from '@horde/protocol/job'
import busboy from 'busboy'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openPromise } from 'yauzl'
import { JobFailure } from '../src/job-failure.ts'
import { type OutputLimits, uploadZip, zipOutputs } from '../src/outputs.ts'
import { result } from './jobs.ts'
import { TestMiner } from './miner.ts'
import { bodyOf, TestWeb } from './web.ts'

const LOCAL = { ALLOW_PRIVATE_TARGETS: 'true' }

interface Arrived {
  headers: IncomingMessage['headers']
  zip: Buffer
  /** Of a form: its fields in order, then the file's field, name and type. */
  form: string[]
}

let miner: TestMiner
let web: TestWeb
let folder: string
let arrived: Arrived[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outputs-test-'))
  miner = await TestMiner.start()
  web = await TestWeb.start(async (request, response) => {
    const isForm = request.headers['content-type']?.startsWith('multipart/')
    const body = isForm ? await readForm(request) : { zip: await bodyOf(request), form: [] }
    arrived.push({ headers: request.headers, ...body })
    const failing = /^\/fails\/(\d+)\/(\d+)$/.exec(request.url ?? '')
    response.writeHead(failing && arrived.length <= Number(failing[1]) ? Number(failing[2]) : 200).end()
  })
})
beforeEach(() => {
  arrived = []
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

async function readForm(request: IncomingMessage): Promise<{ zip: Buffer; form: string[] }> {
  const form: string[] = []
  const files: Promise<Buffer>[] = []
  const parser = busboy({ headers: request.headers })
  parser.on('field', (name, value) => form.push(`${name}=${value}`))
  parser.on('file', (name, stream, info) => {
    form.push(`${name}: ${info.filename} (${info.mimeType})`)
    files.push(bodyOf(stream as unknown as IncomingMessage))
  })
  request.pipe(parser)
  await new Promise((resolve, reject) => parser.once('close', resolve as () => void).once('error', reject))
  return { zip: (await files[0]) ?? Buffer.alloc(0), form }
}

/** What is in a zip: a text by name. */
async function unzipped(bytes: Buffer | undefined): Promise<Record<string, string>> {
  const path = join(folder, 'arrived.zip')
  await writeFile(path, bytes ?? '')
  const zip = await openPromise(path)
  const texts: Record<string, string> = {}
  for await (const entry of zip.eachEntry()) {
    const chunks: Buffer[] = []
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer)
    texts[entry.fileName] = Buffer.concat(chunks).toString()
  }
  return texts
}

const put = (path = '/'): OutputUpload => ({
  output_upload_type: 'zip_and_http_put',
  url: web.url(path),
  form_fields: null,
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
  test('are put as a zip with its length; links and special files are left out', async () => {
    const answer = await result(miner, { script: WRITER, upload: put() }, LOCAL)
    expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'printed\n' })
    expect(arrived).toHaveLength(1)
    expect(arrived[0]?.headers).toMatchObject({
      'content-type': 'application/zip',
      'content-length': String(arrived[0]?.zip.length),
    })
    expect(await unzipped(arrived[0]?.zip)).toEqual(WRITTEN)
  })

  test('are posted as a real form, its fields before the file', async () => {
    const form_fields = { key: 'a/b', 'odd"name\r\n': 'line\r\n--x', policy: 'é' }
    const upload = { output_upload_type: 'zip_and_http_post', url: web.url('/'), form_fields }
    const answer = await result(miner, { script: WRITER, upload }, LOCAL)
    expect(answer.message_type).toBe('V0FinishedRequest')
    expect(arrived[0]?.form).toEqual([
      'key=a/b',
      'odd%22name%0D%0A=line\r\n--x',
      'policy=é',
      'file: output.zip (application/zip)',
    ])
    expect(await unzipped(arrived[0]?.zip)).toEqual(WRITTEN)
  })

  test('hold a file under each of its names', async () => {
    const script = `
import os
os.mkdir("/output/d")
open("/output/a", "w").write("linked")
open("/output/z", "w").write("other")
os.symlink("/etc/passwd", "/output/s")
for source, name in [("a", "b"), ("a", "d/c"), ("z", "y"), ("s", "t")]:
  os.link("/output/" + source, "/output/" + name, follow_symlinks=False)
`
    const answer = await result(miner, { script, upload: put() }, LOCAL)
    expect(answer.message_type).toBe('V0FinishedRequest')
    const { 'stdout.txt': _, 'stderr.txt': __, ...files } = await unzipped(arrived[0]?.zip)
    expect(files).toEqual({ a: 'linked', b: 'linked', 'd/c': 'linked', z: 'other', y: 'other' })
  })

  test('under many names count as many', async () => {
    const script = 'import os; open("/output/a", "w")\nfor i in range(3): os.link("/output/a", f"/output/{i}")'
    const answer = await result(miner, { script, upload: put() }, { ...LOCAL, OUTPUT_MAX_FILES: '3' })
    expect(answer.docker_process_stderr).toBe('There are too many output files\n')
  })

  test('of a failed job are uploaded too', async () => {
    const script = 'import sys; open("/output/trace", "w").write("t"); print("so far"); sys.exit(3)'
    const answer = await result(miner, { script, upload: put() }, LOCAL)
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', docker_process_exit_status: 3 })
    expect(await unzipped(arrived[0]?.zip)).toEqual({ trace: 't', 'stdout.txt': 'so far\n', 'stderr.txt': '' })
  })

  test('hold the whole texts, byte for byte, where the wire has them shortened', async () => {
    const script = 'import os; os.write(1, b"\\xff" + b"x" * 2_000_000)'
    await result(miner, { script, upload: put() }, LOCAL)
    const texts = await unzipped(arrived[0]?.zip)
    expect(texts['stdout.txt']?.length).toBe(2_000_001)
  })
})

/** Tries an upload, and gives the reason why it failed. */
async function failureOf(upload: OutputUpload, allowPrivate = true): Promise<string> {
  const path = join(folder, 'upload.zip')
  await writeFile(path, 'zipped')
  try {
    await uploadZip(path, upload, allowPrivate, AbortSignal.timeout(20_000))
    return 'uploaded'
  } catch (error) {
    expect(error).toBeInstanceOf(JobFailure)
    return (error as Error).message
  }
}

describe('an upload', () => {
  test.each([
    ['/fails/2/503', 3, 'uploaded'],
    ['/fails/9/500', 3, 'Output could not be uploaded: the server answered with status 500'],
    ['/fails/9/403', 1, 'Output could not be uploaded: the server answered with status 403'],
    ['/fails/9/302', 1, 'Output could not be uploaded: the server answered with status 302'],
  ])('to %s is tried %d times', async (path, tries, outcome) => {
    expect(await failureOf(put(path))).toBe(outcome)
    expect(arrived.map(({ zip }) => zip.toString())).toEqual(Array.from({ length: tries }, () => 'zipped'))
  })

  test('to a server that answers before it has read all is still sent whole', async () => {
    const size = 20_000_000
    const received = Promise.withResolvers<number>()
    await using eager = await TestWeb.start(async (request, response) => {
      response.writeHead(200).flushHeaders()
      let bytes = 0
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      request.once('close', () => received.resolve(bytes))
      request.once('end', () => response.end())
    })
    const path = join(folder, 'large.zip')
    await writeFile(path, Buffer.alloc(size))
    const upload: OutputUpload = { output_upload_type: 'zip_and_http_put', url: eager.url('/'), form_fields: null }
    await uploadZip(path, upload, true, AbortSignal.timeout(20_000))
    expect(await received.promise).toBe(size)
  })

  test('to a server that answers well and hangs up in the middle has failed', async () => {
    await using rude = await TestWeb.start((request, response) => {
      response.writeHead(200, { Connection: 'close' }).flushHeaders()
      request.once('data', () => request.socket.destroy())
    })
    const path = join(folder, 'large.zip')
    await writeFile(path, Buffer.alloc(20_000_000))
    const upload: OutputUpload = { output_upload_type: 'zip_and_http_put', url: rude.url('/'), form_fields: null }
    await expect(uploadZip(path, upload, true, AbortSignal.timeout(20_000))).rejects.toThrow(
      /^Output could not be uploaded: the connection failed/,
    )
    expect(rude.requests).toHaveLength(3)
  })

  test('to a server that closes right after its answer is made once', async () => {
    const uploads = 300
    for (let made = 0; made < uploads; made += 1) expect(await failureOf(put())).toBe('uploaded')
    expect(arrived).toHaveLength(uploads)
  })

  test('into a private network is refused', async () => {
    expect(await failureOf(put(), false)).toBe('Output URL refused: it points into a private network')
    expect(arrived).toHaveLength(0)
  })

  test('that fails fails the job, which still tells its own exit status', async () => {
    const answer = await result(miner, { script: 'print("fine")', upload: put('/fails/9/403') }, LOCAL)
    expect(answer).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: 0,
      docker_process_stdout: 'fine\n',
      docker_process_stderr: 'Output could not be uploaded: the server answered with status 403\n',
    })
  })
})

describe('the outputs are bounded', () => {
  /** Zips a tar with files of these sizes, and gives the reason why that failed. */
  async function zipping(sizes: number[], limits: Partial<OutputLimits>): Promise<string> {
    const tar = pack()
    for (const [index, size] of sizes.entries()) tar.entry({ name: `output/${index}` }, randomBytes(size))
    tar.finalize()
    const texts = { stdoutPath: join(folder, 'empty'), stderrPath: join(folder, 'empty') }
    await writeFile(texts.stdoutPath, '')
    const all = { maxZipBytes: 1_000_000, maxBytes: 1_000_000, maxFiles: 100, ...limits }
    try {
      await zipOutputs(async () => tar as unknown as Readable, texts, folder, all, AbortSignal.timeout(20_000))
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

  test('by the settings of the executor', async () => {
    const script = 'for i in range(4): open(f"/output/{i}", "w")'
    const answer = await result(miner, { script, upload: put() }, { ...LOCAL, OUTPUT_MAX_FILES: '3' })
    expect(answer.message_type).toBe('V0FailedRequest')
    expect(answer.docker_process_stderr).toBe('There are too many output files\n')
    expect(arrived).toHaveLength(0)
  })
})
