/** A scripted miner that speaks whatever its script says: v2026, or both dialects, or neither. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Hotkey, verifySignature } from '@horde/chain/wallet'
import { readJson } from '@horde/protocol/json/read-json'
import { canonicalText } from '@horde/protocol/v2026/signing/canonical-text'
import { authenticationText } from '@horde/protocol/v2026/signing/signed-texts'
import { parseFromValidator, type ValidatorMessage } from '@horde/protocol/v2026/validator-miner'
import { WebSocketServer } from 'ws'
import { HOST } from '../scripted-miner.ts'

type Type = ValidatorMessage['message_type']
type MessageOf<T extends Type> = Extract<ValidatorMessage, { message_type: T }>

/** The miner's side of one connection. */
export interface Peer2026 {
  /** Counted from 1. */
  readonly connection: number
  /** Resolves with the type of the next message, of either dialect; with `gone` when the connection has ended. */
  nextType(): Promise<string>
  /** Returns the next message. Rejects when it is not of this type, or malformed in v2026. */
  receive<T extends Type>(type: T): Promise<MessageOf<T>>
  /** Resolves with the close code. */
  gone: Promise<number>
  send(message: object | string): void
  /** Sends a message about the job that was last offered to this miner. */
  sendForJob(type: string, fields?: object): void
  close(code?: number): void
  /** Ends the connection without a close frame. */
  cut(): void
}

export interface Miner2026 extends AsyncDisposable {
  readonly hotkey: Hotkey
  /** host:port */
  readonly address: string
  /** The validator's frames, in order, as JSON. */
  readonly received: { connection: number; message: Record<string, unknown> }[]
  /** The header for capabilities of each connection's request. */
  readonly capabilities: (string | undefined)[]
  /** The close code of each connection that has ended, by its number. */
  readonly closed: Map<number, number>
  /** Errors of the script. */
  readonly mistakes: unknown[]
  connections(): number
}

class GoneError extends Error {}

/** @param capabilities the header in the answer that opens a connection; none by default */
export async function startMiner2026(
  hotkey: Hotkey,
  script: (peer: Peer2026) => Promise<unknown> | unknown,
  { capabilities }: { capabilities?: string } = {},
): Promise<Miner2026> {
  const server = createServer()
  const sockets = new WebSocketServer({ server })
  if (capabilities !== undefined) {
    sockets.on('headers', headers => headers.push(`X-Horde-Capabilities: ${capabilities}`))
  }
  const received: Miner2026['received'] = []
  const mistakes: unknown[] = []
  const closed = new Map<number, number>()
  const said: Miner2026['capabilities'] = []
  let connections = 0
  let jobUuid: unknown = ''
  sockets.on('connection', (ws, request) => {
    connections += 1
    const connection = connections
    said.push(request.headers['x-horde-capabilities'] as string | undefined)
    const unread: string[] = []
    let wakeUp = Promise.withResolvers<void>()
    const gone = new Promise<number>(resolve => ws.once('close', code => resolve(code)))
    void gone.then(code => {
      closed.set(connection, code)
      wakeUp.resolve()
    })
    ws.on('error', () => {})
    ws.on('message', data => {
      const frame = String(data)
      const message = JSON.parse(frame)
      received.push({ connection, message })
      if (message.message_type === 'V0InitialJobRequest') jobUuid = message.job_uuid
      unread.push(frame)
      wakeUp.resolve()
    })
    const next = async (): Promise<string | undefined> => {
      while (unread.length === 0) {
        if (ws.readyState !== ws.OPEN) return undefined
        wakeUp = Promise.withResolvers<void>()
        await wakeUp.promise
      }
      return unread.shift()
    }
    const send = (message: object | string) => ws.send(typeof message === 'string' ? message : JSON.stringify(message))
    const peer: Peer2026 = {
      connection,
      gone,
      send,
      sendForJob: (type, fields = {}) => send({ message_type: type, job_uuid: jobUuid, ...fields }),
      close: (code = 1000) => ws.close(code),
      cut: () => ws.terminate(),
      nextType: async () => {
        const frame = await next()
        return frame === undefined ? 'gone' : String(JSON.parse(frame).message_type)
      },
      receive: async type => {
        const frame = await next()
        if (frame === undefined) throw new GoneError()
        return messageIn(frame, type, hotkey)
      },
    }
    Promise.resolve(script(peer)).catch(error => {
      if (!(error instanceof GoneError)) mistakes.push(error)
    })
  })
  await new Promise<void>(resolve => server.listen(0, HOST, resolve))
  const { port } = server.address() as AddressInfo
  return {
    ...{ hotkey, address: `${HOST}:${port}`, received, capabilities: said, closed, mistakes },
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const ws of sockets.clients) ws.terminate()
      sockets.close()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Returns the message. Throws when it is of another type, malformed, or not signed as it must be. */
function messageIn<T extends Type>(frame: string, type: T, miner: Hotkey): MessageOf<T> {
  const parsed = parseFromValidator(frame)
  if (!parsed.ok) throw parsed.error
  const { message, received } = parsed
  if (message.message_type !== type) throw new Error(`received ${message.message_type} instead of ${type}`)
  if (message.message_type === 'ValidatorAuthForMiner') {
    const text = new TextEncoder().encode(authenticationText(message))
    if (message.miner_hotkey !== miner.ss58) throw new Error('signed for another miner')
    if (!verifySignature(message.validator_hotkey, text, message.signature)) throw new Error('not authenticated')
  }
  if (message.message_type === 'V0InitialJobRequest') {
    const text = new TextEncoder().encode(canonicalText(received))
    const signer = message.job_started_receipt_payload.validator_hotkey
    if (!verifySignature(signer, text, message.validator_signature ?? '')) throw new Error('the offer is not signed')
  }
  return message as MessageOf<T>
}

/** Returns whether a validator signed this frame: an offer or work. */
export function isSignedBy(validator: string, frame: object): boolean {
  const received = readJson(JSON.stringify(frame))
  const signature = String((frame as { validator_signature?: unknown }).validator_signature)
  const isObject = received instanceof Map
  return isObject && verifySignature(validator, new TextEncoder().encode(canonicalText(received)), signature)
}

/** Returns the types of the validator's messages, in order, each after the number of its connection. */
export function typesOf(miner: Miner2026): string[] {
  return miner.received.map(({ connection, message }) => `${connection} ${message.message_type}`)
}

export const MANIFEST_2026 = { message_type: 'V0ExecutorManifestRequest', manifest: { 'always_on.test': 1 } }

/** Sends what an honest miner of v2026 sends up to a stage. */
export const play2026 = {
  async authenticated(peer: Peer2026): Promise<void> {
    await peer.receive('ValidatorAuthForMiner')
    peer.send(MANIFEST_2026)
  },
  async accepted(peer: Peer2026): Promise<MessageOf<'V0InitialJobRequest'>> {
    await play2026.authenticated(peer)
    const offer = await peer.receive('V0InitialJobRequest')
    peer.sendForJob('V0AcceptJobRequest')
    await peer.receive('V0JobAcceptedReceiptRequest')
    return offer
  },
  async working(peer: Peer2026): Promise<MessageOf<'V0JobRequest'>> {
    await play2026.accepted(peer)
    peer.sendForJob('V0ExecutorReadyRequest', { executor_token: null })
    return peer.receive('V0JobRequest')
  },
  async finished(peer: Peer2026, stdout = 'right'): Promise<void> {
    await play2026.working(peer)
    peer.sendForJob('V0VolumesReadyRequest')
    peer.sendForJob('V0ExecutionDoneRequest')
    peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: stdout, docker_process_stderr: '' })
    await peer.receive('V0JobFinishedReceiptRequest')
  },
}
