/**
 * A server on loopback that speaks as much of the API of Hugging Face as a download takes: what a revision is, which
 * files it has, and where they are. Files of LFS and Xet are redirected to a CDN path, the others to a cache path.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TestWeb } from '../peers/http-target.ts'
import { type ServedFile, serveFile } from './serve-file.ts'

export interface Repository {
  type?: 'model' | 'dataset' | 'space'
  /** `name` or `owner/name`. */
  name: string
  files: Record<string, string | Buffer>
  /** The paths of files that the hub keeps by LFS. */
  lfs?: string[]
  /** A branch or tag. Default: main. */
  revision?: string
  /** The token that may read it; default: everybody may. */
  token?: string
}

interface Stored {
  token: string | undefined
  /** The commit of each branch and tag. */
  revisions: Map<string, string>
  commits: Map<string, Map<string, ServedFile & { oid: string; isLfs: boolean }>>
}

/** Takes a request instead of the hub, and returns whether it did. */
type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean

const KINDS = { model: 'models', dataset: 'datasets', space: 'spaces' }
const ABOUT = /^\/api\/(models|datasets|spaces)\/([\w.-]+(?:\/[\w.-]+)?)\/(revision|tree)\/([^/]+)$/
const RESOLVE = /^\/(?:(datasets|spaces)\/)?([\w.-]+(?:\/[\w.-]+)?)\/resolve\/([^/]+)\/(.+)$/
const CACHED = /^\/api\/resolve-cache\/(models|datasets|spaces)\/(.+)\/([0-9a-f]{40})\/([^/]+)$/

export class TestHub implements AsyncDisposable {
  readonly web: TestWeb
  /** How many entries a page of a list has. */
  pageSize = 2
  /** Where files of LFS are. Default: this server by another name, so another origin, as the real one is. */
  cdn: string
  readonly #repositories = new Map<string, Stored>()
  readonly #contents = new Map<string, ServedFile>()

  private constructor(web: TestWeb) {
    this.web = web
    this.cdn = web.url('', 'localhost')
  }

  static async start(intercept: Intercept = () => false): Promise<TestHub> {
    const web = await TestWeb.start((request, response) => {
      if (!intercept(request, response)) hub.#answer(request, response)
    })
    const hub = new TestHub(web)
    return hub
  }

  get url(): string {
    return this.web.url('')
  }

  /** Adds a repository, or a commit to it, and returns the commit's id. */
  add({ type = 'model', name, files, lfs = [], revision = 'main', token }: Repository): string {
    const key = `${KINDS[type]}/${name}`
    const stored = this.#repositories.get(key) ?? { token, revisions: new Map(), commits: new Map() }
    this.#repositories.set(key, stored)
    const entries = Object.entries(files).map(([path, text]) => {
      const contents = Buffer.from(text)
      const isLfs = lfs.includes(path)
      const oid = isLfs ? hash('sha256', contents) : hash('sha1', Buffer.from(`blob ${contents.length}\0`), contents)
      const file = { contents, etag: `"${oid}"`, oid, isLfs }
      this.#contents.set(oid, file)
      return [path, file] as const
    })
    const commit = hash('sha1', Buffer.from(JSON.stringify([key, stored.commits.size, entries.map(([path]) => path)])))
    stored.revisions.set(revision, commit)
    stored.commits.set(commit, new Map(entries))
    return commit
  }

  /** Removes a branch or tag. */
  removeRevision(type: keyof typeof KINDS, name: string, revision: string): void {
    this.#repositories.get(`${KINDS[type]}/${name}`)?.revisions.delete(revision)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.web[Symbol.asyncDispose]()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', this.url)
    const about = ABOUT.exec(url.pathname)
    const resolve = RESOLVE.exec(url.pathname)
    const cached = CACHED.exec(url.pathname)
    const cdn = /^\/cdn\/([0-9a-f]{64})$/.exec(url.pathname)
    const stored = this.#contents.get(cdn?.[1] ?? '')
    if (stored !== undefined) serveFile(stored, request, response)
    else if (about !== null) {
      const [, kind = '', name = '', what, revision = ''] = about
      const found = this.#find(`${kind}/${name}`, decodeURIComponent(revision), request, response)
      if (found && what === 'revision') this.#tellRevision(name, found.commit, response)
      else if (found) this.#list(url, found.files, response)
    } else if (cached !== null) {
      const [, kind, name, commit = '', path = ''] = cached
      const found = this.#find(`${kind}/${name}`, commit, request, response)
      const file = found?.files.get(decodeURIComponent(path))
      if (file) serveFile(file, request, response, { 'X-Repo-Commit': commit })
    } else if (resolve !== null) {
      const [, kind = 'models', name = '', revision = '', path = ''] = resolve
      const found = this.#find(`${kind}/${name}`, decodeURIComponent(revision), request, response)
      const file = found?.files.get(decodeURIComponent(path))
      if (found && file) this.#redirect(file, { kind, name, path, commit: found.commit }, response)
      else if (found) refuse(response, 404, 'EntryNotFound')
    } else refuse(response, 404, 'RepoNotFound')
  }

  /** Returns a commit and its files; undefined when it has answered that there is none. */
  #find(key: string, revision: string, request: IncomingMessage, response: ServerResponse) {
    const stored = this.#repositories.get(key)
    const token = stored?.token
    // As the hub does, which does not tell strangers what exists.
    if (stored === undefined || (token !== undefined && request.headers.authorization !== `Bearer ${token}`)) {
      return refuse(response, request.headers.authorization === undefined ? 401 : 404, 'RepoNotFound')
    }
    const commit = stored.revisions.get(revision) ?? revision
    const files = stored.commits.get(commit)
    return files === undefined ? refuse(response, 404, 'RevisionNotFound') : { commit, files }
  }

  #tellRevision(name: string, sha: string, response: ServerResponse): void {
    const lastModified = '2026-05-04T10:00:00.000Z'
    const facts = { private: false, gated: false, disabled: false, downloads: 1, likes: 1, tags: [], siblings: [] }
    tell(response, {
      _id: '1'.repeat(24),
      id: name,
      modelId: name,
      sha,
      lastModified,
      createdAt: lastModified,
      ...facts,
    })
  }

  #list(url: URL, files: ReadonlyMap<string, ServedFile & { oid: string; isLfs: boolean }>, response: ServerResponse) {
    const folders = new Set([...files.keys()].flatMap(path => parentsOf(path)))
    const entries = [
      ...[...folders].map(path => ({ type: 'directory', oid: hash('sha1', Buffer.from(path)), size: 0, path })),
      ...[...files].map(([path, { contents, oid, isLfs }]) => ({
        type: 'file',
        oid: isLfs ? hash('sha1', Buffer.from(oid)) : oid,
        size: contents.length,
        path,
        ...(isLfs ? { lfs: { oid, size: contents.length, pointerSize: 134 }, xetHash: oid } : {}),
      })),
    ]
    const start = Number(url.searchParams.get('cursor') ?? 0)
    const end = start + this.pageSize
    if (end < entries.length) {
      url.searchParams.set('cursor', String(end))
      response.setHeader('Link', `<${url.href}>; rel="next"`)
    }
    tell(response, entries.slice(start, end))
  }

  #redirect(
    { oid, etag, isLfs, contents }: ServedFile & { oid: string; isLfs: boolean },
    { kind, name, path, commit }: Record<'kind' | 'name' | 'path' | 'commit', string>,
    response: ServerResponse,
  ): void {
    const linked = { 'X-Repo-Commit': commit, 'X-Linked-Size': contents.length, 'X-Linked-ETag': etag }
    const cached = `/api/resolve-cache/${kind}/${name}/${commit}/${encodeURIComponent(decodeURIComponent(path))}`
    const location = isLfs ? `${this.cdn}/cdn/${oid}?X-Amz-Signature=5eCret` : cached
    response.writeHead(isLfs ? 302 : 307, { ...linked, Location: location }).end()
  }
}

function tell(response: ServerResponse, value: unknown): void {
  response.setHeader('Content-Type', 'application/json; charset=utf-8').end(JSON.stringify(value))
}

function refuse(response: ServerResponse, status: number, code: string): undefined {
  response.writeHead(status, { 'Content-Type': 'application/json', 'X-Error-Code': code })
  response.end(JSON.stringify({ error: code }))
}

function hash(algorithm: string, ...parts: Buffer[]): string {
  return parts.reduce((hash, part) => hash.update(part), createHash(algorithm)).digest('hex')
}

function parentsOf(path: string): string[] {
  const parts = path.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}
