/** Servers on loopback that a user's job downloads from and uploads to. */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { OutputUpload } from '@horde/protocol/v0/job'
import busboy from 'busboy'
import { openPromise } from 'yauzl'

export class TestWeb implements AsyncDisposable {
  readonly #server: Server
  /** Method and path of every request, in order. */
  readonly requests: string[] = []

  private constructor(handler: RequestListener) {
    this.#server = createServer((request, response) => {
      this.requests.push(`${request.method} ${request.url}`)
      handler(request, response)
    })
  }

  static async start(handler: RequestListener): Promise<TestWeb> {
    const web = new TestWeb(handler)
    web.#server.listen(0, '127.0.0.1')
    await once(web.#server, 'listening')
    return web
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  url(path: string, host = '127.0.0.1'): string {
    return `http://${host}:${this.port}${path}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

export interface Upload {
  method: string | undefined
  path: string | undefined
  headers: IncomingMessage['headers']
  zip: Buffer
  /** For a form: its fields in order, then the file's field, name and type. */
  form: string[]
}

export interface Unzipped {
  text: string
  /** The Unix file type and permissions. */
  mode: number
}

export class UploadServer implements AsyncDisposable {
  readonly web: TestWeb
  /** The complete uploads, in order. */
  readonly arrived: Upload[]

  private constructor(web: TestWeb, arrived: Upload[]) {
    this.web = web
    this.arrived = arrived
  }

  /** @param answer answers each upload; the default answers 200 */
  static async start(answer: RequestListener = (_, response) => void response.end()): Promise<UploadServer> {
    const arrived: Upload[] = []
    const web = await TestWeb.start(async (request, response) => {
      const { method, url: path, headers } = request
      const isForm = headers['content-type']?.startsWith('multipart/')
      const body = isForm ? await readForm(request) : { zip: await bodyOf(request), form: [] }
      arrived.push({ method, path, headers, ...body })
      answer(request, response)
    })
    return new UploadServer(web, arrived)
  }

  put(path = '/', host?: string): OutputUpload & Record<string, unknown> {
    return { output_upload_type: 'zip_and_http_put', url: this.web.url(path, host), form_fields: null }
  }

  post(form_fields: Record<string, string> | null, path = '/'): OutputUpload & Record<string, unknown> {
    return { output_upload_type: 'zip_and_http_post', url: this.web.url(path), form_fields }
  }

  /** Returns the texts in the zip file of the last upload, or of an upload to this path, by name. */
  async texts(path?: string): Promise<Record<string, string>> {
    return Object.fromEntries((await this.files(path)).map(([name, { text }]) => [name, text]))
  }

  /** Returns the files in that zip file, in its order. */
  files(path?: string): Promise<[string, Unzipped][]> {
    const upload = path === undefined ? this.arrived.at(-1) : this.to(path)
    return unzip(upload?.zip ?? Buffer.alloc(0))
  }

  /** Returns the last upload to a path. */
  to(path: string): Upload | undefined {
    return this.arrived.findLast(upload => upload.path === path)
  }

  /** Forgets all uploads and requests. */
  clear(): void {
    this.arrived.length = 0
    this.web.requests.length = 0
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.web[Symbol.asyncDispose]()
  }
}

async function readForm(request: IncomingMessage): Promise<{ zip: Buffer; form: string[] }> {
  const form: string[] = []
  const files: Promise<Buffer>[] = []
  const parser = busboy({ headers: request.headers, defParamCharset: 'utf8' })
  parser.on('field', (name, value) => form.push(`${name}=${value}`))
  parser.on('file', (name, stream, info) => {
    form.push(`${name}: ${info.filename} (${info.mimeType})`)
    files.push(buffer(stream))
  })
  request.pipe(parser)
  await new Promise((resolve, reject) => parser.once('close', resolve as () => void).once('error', reject))
  return { zip: (await files[0]) ?? Buffer.alloc(0), form }
}

async function unzip(bytes: Buffer): Promise<[string, Unzipped][]> {
  const folder = await mkdtemp(join(tmpdir(), 'arrived-'))
  try {
    await writeFile(join(folder, 'arrived.zip'), bytes)
    const zip = await openPromise(join(folder, 'arrived.zip'))
    const files: [string, Unzipped][] = []
    for await (const entry of zip.eachEntry()) {
      const text = (await buffer(await zip.openReadStreamPromise(entry))).toString()
      files.push([entry.fileName, { text, mode: entry.externalFileAttributes >>> 16 }])
    }
    return files
  } finally {
    await rm(folder, { recursive: true })
  }
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
