/** A scripted facilitator of v2026, or one that says both dialects, as its test lets it. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Hotkey, hotkeyFromUri } from '@horde/chain/wallet'
import { readJson } from '@horde/protocol/json/read-json'
import {
  parseFromFacilitator,
  parseFromValidator,
  type V0JobCheated,
  type V0JobStatusUpdate,
  type V2JobRequest,
} from '@horde/protocol/v2026/facilitator-validator'
import { frameOf } from '@horde/protocol/v2026/frame'
import { userCheatTexts, userDigest, userJobText } from '@horde/protocol/v2026/signing/user-signature'
import { WebSocketServer } from 'ws'
import { HOST } from '../scripted-miner.ts'

const SUCCESS = JSON.stringify({ status: 'success', errors: [] })

export interface Facilitator2026 extends AsyncDisposable {
  readonly uri: string
  /** The validator's frames, as it sent them, in order. */
  readonly frames: string[]
  /** Those of them that are malformed in v2026. */
  readonly malformed: string[]
  /** The headers of each connection's request. */
  readonly requests: IncomingHttpHeaders[]
  /** The connections whose validator has authenticated. */
  readonly peers: { send(message: object | string): void; cut(): void }[]
  /** Resolves to what `find` returns, once that is neither undefined nor false. Calls it after each message. */
  until<T>(find: () => T | undefined | false): Promise<T>
  updates(uuid: string): V0JobStatusUpdate[]
  statuses(uuid: string): string[]
  /** Sends a job on the newest connection, and returns its updates once it has ended. */
  ask(job: { uuid: string } & object): Promise<V0JobStatusUpdate[]>
}

const ENDS = ['completed', 'rejected', 'failed', 'horde_failed']

export interface FacilitatorOptions2026 {
  /** The header in the answer that opens a connection; none by default, as in Python facilitators. */
  capabilities?: string
  /** A larger frame closes the connection with code 1009. */
  maxFrameBytes?: number
}

export async function startFacilitator2026({
  capabilities,
  maxFrameBytes = 0,
}: FacilitatorOptions2026 = {}): Promise<Facilitator2026> {
  const server = createServer()
  // 0: no limit.
  const sockets = new WebSocketServer({ server, path: '/ws/v0/', maxPayload: maxFrameBytes })
  if (capabilities !== undefined) {
    sockets.on('headers', headers => headers.push(`X-Horde-Capabilities: ${capabilities}`))
  }
  const frames: string[] = []
  const malformed: string[] = []
  const requests: IncomingHttpHeaders[] = []
  const peers: Facilitator2026['peers'] = []
  const watchers = new Set<() => void>()
  sockets.on('connection', (ws, request) => {
    requests.push(request.headers)
    // A frame above the limit.
    ws.on('error', () => {})
    ws.on('message', data => {
      const frame = String(data)
      frames.push(frame)
      if (!parseFromValidator(frame).ok) malformed.push(frame)
      const { message_type: type } = JSON.parse(frame)
      if (type !== 'V0Heartbeat') ws.send(SUCCESS)
      if (type === 'V0AuthenticationRequest') {
        peers.push({
          send: message => ws.send(typeof message === 'string' ? message : frameOf(message)),
          cut: () => ws.terminate(),
        })
      }
      for (const watcher of watchers) watcher()
    })
  })
  await new Promise<void>(resolve => server.listen(0, HOST, resolve))
  const until: Facilitator2026['until'] = find =>
    new Promise(resolve => {
      const check = () => {
        const found = find()
        if (found === undefined || found === false) return
        watchers.delete(check)
        resolve(found)
      }
      watchers.add(check)
      check()
    })
  const updates = (uuid: string) =>
    frames
      .map(frame => JSON.parse(frame) as V0JobStatusUpdate)
      .filter(message => message.message_type === 'V0JobStatusUpdate' && message.uuid === uuid)
  const statuses = (uuid: string) => updates(uuid).map(({ status }) => status)
  return {
    ...{ uri: `ws://${HOST}:${(server.address() as AddressInfo).port}/ws/v0/`, frames, malformed, requests, peers },
    ...{ until, updates, statuses },
    ask: async job => {
      await until(() => peers.length > 0)
      peers.at(-1)?.send(job)
      await until(() => statuses(job.uuid).some(status => ENDS.includes(status)))
      return updates(job.uuid)
    },
    async [Symbol.asyncDispose]() {
      for (const ws of sockets.clients) ws.terminate()
      sockets.close()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** The user of a job whose test names none. */
export const USER = hotkeyFromUri('//User')

export interface Signing {
  signer?: Hotkey
  /** In ms since 1970. */
  at?: number
}

/** Returns a user's job as a facilitator of v2026 sends it, signed. Fields whose value is undefined are left out. */
export function userJob(fields: object = {}, signing: Signing = {}): V2JobRequest {
  const job = {
    ...{ type: 'job.new', message_type: 'V2JobRequest', uuid: randomUUID(), job_namespace: 'SN12.0' },
    ...{ executor_class: 'always_on.test', docker_image: 'echo:v0', args: ['a', 'b c'], env: {}, use_gpu: false },
    ...{ volume: null, output_upload: null, artifacts_dir: null, on_trusted_miner: false },
    ...{ download_time_limit: 10, execution_time_limit: 20, upload_time_limit: 30, streaming_start_time_limit: 0 },
    streaming_details: null,
    ...fields,
  }
  const parsed = parseFromFacilitator(JSON.stringify(job))
  // Malformed jobs are sent unsigned: the validator does not come to their signature.
  if (!parsed.ok || !('message_type' in parsed.message) || parsed.message.message_type !== 'V2JobRequest') {
    return job as unknown as V2JobRequest
  }
  return {
    ...job,
    signature: signatureOf(userJobText(parsed.message, parsed.received), 'SignedFields', signing),
  } as never
}

/** Returns a user's report of a cheat, signed. */
export function cheatReport(
  fields: { job_uuid: string; trusted_job_uuid: string; details?: unknown },
  { encoded = 'twice', ...signing }: Signing & { encoded?: 'once' | 'twice' } = {},
): V0JobCheated {
  const report = { type: 'job.cheated', message_type: 'V0JobCheated', details: { z: 1 }, ...fields } as const
  const received = readJson(JSON.stringify(report))
  if (!(received instanceof Map)) throw new Error('not an object')
  const [once, twice] = userCheatTexts(received)
  return { ...report, signature: signatureOf(encoded === 'once' ? once : twice, 'FullRequest', signing) }
}

/** How many were made: two of the same job in one millisecond would be the same, and the second refused as used. */
let signatures = 122n

function signatureOf(
  text: string,
  signature_scope: 'SignedFields' | 'FullRequest',
  { signer = USER, at = Date.now() }: Signing,
) {
  signatures += 1n
  const timestamp_ns = BigInt(Math.floor(at)) * 1_000_000n + (signatures % 1_000_000n)
  const digest = userDigest(text, timestamp_ns)
  if (digest === undefined) throw new Error('the time does not fit')
  const signature = Buffer.from(signer.sign(digest)).toString('base64')
  return { signature_type: 'bittensor', signatory: signer.ss58, timestamp_ns, signature, signature_scope }
}
