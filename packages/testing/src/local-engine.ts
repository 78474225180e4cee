/**
 * Calls the machine's Docker engine over its socket, without the code under test. Source of the paths and fields: the
 * Docker Engine API, 1.41.
 */
import { request } from 'node:http'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { withDeadline } from '@horde/kit/time'
import { WAIT_MS } from './limits.ts'

const SOCKET = '/var/run/docker.sock'
const MISSING = 404
const FIRST_ERROR = 400

/** A container or volume with its labels. */
export interface Labelled {
  id: string
  labels: Record<string, string>
}

interface Call {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  json?: object
  tar?: NodeJS.ReadableStream
  /** Whether to accept that the object does not exist. */
  mayBeMissing?: boolean
}

/** Calls the engine. Rejects with its message when it refuses, and when it takes longer than `WAIT_MS`. */
async function call(path: string, { method = 'GET', json, tar, mayBeMissing = false }: Call = {}): Promise<Buffer> {
  const answer = new Promise<Buffer>((resolve, reject) => {
    const type = json ? 'application/json' : tar ? 'application/x-tar' : undefined
    const headers = type ? { 'Content-Type': type } : {}
    const outgoing = request({ socketPath: SOCKET, path, method, headers }, response => {
      buffer(response).then(bytes => {
        const status = response.statusCode ?? 0
        const isFine = status < FIRST_ERROR || (status === MISSING && mayBeMissing)
        if (isFine) resolve(bytes)
        else reject(new Error(`${method} ${path}: ${status} ${bytes}`))
      }, reject)
    })
    outgoing.on('error', reject)
    if (tar) (tar as Readable).pipe(outgoing)
    else outgoing.end(json && JSON.stringify(json))
  })
  return withDeadline(answer, WAIT_MS, `${method} ${path}`)
}

const byLabel = (label: string) => `filters=${encodeURIComponent(JSON.stringify({ label: [label] }))}`

/** Returns the containers with a label (`name` or `name=value`), running or not. */
export async function containersWith(label: string): Promise<Labelled[]> {
  const list = JSON.parse(String(await call(`/containers/json?all=1&${byLabel(label)}`)))
  return list.map(({ Id, Labels }: { Id: string; Labels: Labelled['labels'] }) => ({ id: Id, labels: Labels }))
}

/** Returns the volumes with a label (`name` or `name=value`). */
export async function volumesWith(label: string): Promise<Labelled[]> {
  const { Volumes } = JSON.parse(String(await call(`/volumes?${byLabel(label)}`)))
  const list: { Name: string; Labels: Labelled['labels'] | null }[] = Volumes ?? []
  return list.map(({ Name, Labels }) => ({ id: Name, labels: Labels ?? {} }))
}

/** Creates a container without starting it, and returns its id. `options`: the body of `POST /containers/create`. */
export async function createContainer(options: object): Promise<string> {
  return JSON.parse(String(await call('/containers/create', { method: 'POST', json: options }))).Id
}

/** Removes a container with its anonymous volumes, running or not. */
export async function removeContainer(id: string): Promise<void> {
  await call(`/containers/${id}?force=1&v=1`, { method: 'DELETE', mayBeMissing: true })
}

/** Unpacks a tar at a path of a container. */
export async function putArchive(id: string, tar: NodeJS.ReadableStream, path: string): Promise<void> {
  await call(`/containers/${id}/archive?path=${encodeURIComponent(path)}`, { method: 'PUT', tar })
}

/** Returns what is at a path of a container, as a tar. */
export function getArchive(id: string, path: string): Promise<Buffer> {
  return call(`/containers/${id}/archive?path=${encodeURIComponent(path)}`)
}

/** Makes an image from a tar, which becomes its only layer. */
export async function importImage(tar: NodeJS.ReadableStream, name: string): Promise<void> {
  const [, repository = name, tag = 'latest'] = /^(.+):([\w.-]+)$/.exec(name) ?? []
  const output = String(await call(`/images/create?fromSrc=-&repo=${repository}&tag=${tag}`, { method: 'POST', tar }))
  if (output.includes('"error"')) throw new Error(`import of ${name}: ${output}`)
}

/** Removes a name of an image. The image goes with its last name. */
export async function removeImage(name: string): Promise<void> {
  await call(`/images/${encodeURIComponent(name)}?force=0`, { method: 'DELETE', mayBeMissing: true })
}
