/** A registry on loopback with small images. A pull waits until the test lets its image go. */

import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { withDeadline } from '@horde/kit/time'
import { WAIT_MS } from '@horde/testing/limits'
import { removeRepository } from '@horde/testing/registry/docker-registry'
import { pack } from 'tar-stream'

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const CONFIG = 'application/vnd.docker.container.image.v1+json'
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip'

/** An image, and the pulls that wait for it. */
interface Held {
  asked: PromiseWithResolvers<void>
  released: PromiseWithResolvers<void>
}

export class HeldRegistry implements AsyncDisposable {
  readonly #server: Server
  readonly #held = new Map<string, Held>()
  readonly #blobs = new Map<string, Buffer>()
  readonly #manifest: string

  private constructor(server: Server, layer: Buffer) {
    this.#server = server
    const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digest(layer)] } }
    this.#manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: this.#add(CONFIG, Buffer.from(JSON.stringify(config))),
      layers: [this.#add(LAYER, gzipSync(layer))],
    })
    server.on('request', ({ url = '', method }, response) => {
      const [, name, kind, reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(url) ?? []
      if (kind === undefined) response.end()
      else if (kind === 'blobs') response.end(this.#blobs.get(reference))
      else void this.#answer(name ?? '', method === 'GET', response)
    })
  }

  static async start(): Promise<HeldRegistry> {
    const tar = pack()
    tar.entry({ name: 'content' }, randomUUID())
    tar.finalize()
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new HeldRegistry(server, await buffer(tar as never))
  }

  /** The name of another image. */
  image(): string {
    const name = `held-${randomUUID()}`
    this.#held.set(name, { asked: Promise.withResolvers(), released: Promise.withResolvers() })
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`
  }

  /** Resolves when a client pulls an image. */
  async asked(image: string): Promise<void> {
    await withDeadline(this.#of(image).asked.promise, WAIT_MS, 'waiting for a pull')
  }

  /** Lets the pulls of an image continue. */
  release(image: string): void {
    this.#of(image).released.resolve()
  }

  #of(image: string): Held {
    const held = this.#held.get(image.slice(image.indexOf('/') + 1))
    if (held === undefined) throw new Error(`${image} is not held here`)
    return held
  }

  async #answer(name: string, withBody: boolean, response: ServerResponse): Promise<void> {
    const held = this.#held.get(name)
    held?.asked.resolve()
    await held?.released.promise
    const headers = { 'Content-Type': MANIFEST, 'Content-Length': Buffer.byteLength(this.#manifest) }
    response.writeHead(200, { ...headers, 'Docker-Content-Digest': digest(this.#manifest) })
    response.end(withBody ? this.#manifest : undefined)
  }

  #add(mediaType: string, bytes: Buffer): { mediaType: string; size: number; digest: string } {
    this.#blobs.set(digest(bytes), bytes)
    return { mediaType, size: bytes.length, digest: digest(bytes) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { port } = this.#server.address() as AddressInfo
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
    for (const name of this.#held.keys()) await removeRepository(`127.0.0.1:${port}/${name}`)
  }
}

function digest(bytes: string | Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
