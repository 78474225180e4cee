import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Hotkey, verifySignature } from '@horde/chain/wallet'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'
import { authenticationBytes } from '@horde/protocol/handshake/signing'
import {
  parseFromValidator,
  type V0AuthenticateRequest,
  type V0InitialJobRequest,
  type V0JobRequest,
  type ValidatorMessage,
} from '@horde/protocol/v0/validator-miner'

/** A loopback address that the chain accepts, unlike 127.0.0.1. */
export const HOST = '127.0.0.2'

type Type = ValidatorMessage['message_type']

/** A scripted miner's side of one connection of a validator. */
export interface Peer {
  /** Counted from 1. */
  readonly connection: number
  /** Returns the next message. Rejects when it is not of this type. Skips a GenericError unless that is the type. */
  receive<T extends Type>(type: T): Promise<Extract<ValidatorMessage, { message_type: T }>>
  /** Resolves when the connection is gone. */
  gone: Promise<void>
  send(message: object | string): void
  /** Sends a message about the job that was last offered to this miner. */
  sendForJob(type: string, fields?: object): void
  /** Stops reading from the connection. */
  stopReading(): void
  close(code?: number): void
  /** Ends the connection without a close frame. */
  cut(): void
}

export interface ScriptedMiner extends AsyncDisposable {
  readonly hotkey: Hotkey
  /** host:port */
  readonly address: string
  readonly port: number
  /** The validator's messages, in order. */
  readonly received: { connection: number; message: ValidatorMessage }[]
  /** Errors of the script, and messages of the validator that are invalid. */
  readonly mistakes: unknown[]
  connections(): number
}

/** Starts a miner that runs its script on each connection, once the validator has authenticated. */
export async function startScriptedMiner(
  hotkey: Hotkey,
  script: (peer: Peer) => Promise<void> | void,
): Promise<ScriptedMiner> {
  const server = createServer()
  const router = upgradeRouter(server, { log: silentLog })
  const received: ScriptedMiner['received'] = []
  const mistakes: unknown[] = []
  let connections = 0
  let jobUuid = ''

  router.onUpgrade(/^\/v0\.1\/validator_interface\/([1-9A-HJ-NP-Za-km-z]+)$/, (ws, match) => {
    connections += 1
    const connection = connections
    const unread: ValidatorMessage[] = []
    let wakeUp = Promise.withResolvers<void>()
    const gone = new Promise<void>(resolve => ws.once('close', () => resolve()))
    void gone.then(() => wakeUp.resolve())
    const send = (message: object | string) => ws.send(typeof message === 'string' ? message : JSON.stringify(message))
    ws.on('message', data => {
      // As miners of 2024 do: they go on after a message that they do not know.
      if (isAuthenticationOf2026(data)) {
        return send({ message_type: 'GenericError', details: 'unknown message type ValidatorAuthForMiner' })
      }
      const parsed = parseFromValidator(String(data))
      if (!parsed.ok) return void mistakes.push(parsed.error)
      received.push({ connection, message: parsed.message })
      if (parsed.message.message_type === 'V0InitialJobRequest') jobUuid = parsed.message.job_uuid
      unread.push(parsed.message)
      wakeUp.resolve()
    })
    const peer: Peer = {
      connection,
      gone,
      send,
      sendForJob: (type, fields = {}) => send({ message_type: type, job_uuid: jobUuid, ...fields }),
      stopReading: () => ws.pause(),
      close: (code = 1000) => ws.close(code),
      cut: () => ws.terminate(),
      async receive(type) {
        let message = unread.shift()
        while (!message || (message.message_type === 'GenericError' && type !== 'GenericError')) {
          if (!message && ws.readyState !== ws.OPEN) throw new GoneError()
          if (!message) {
            wakeUp = Promise.withResolvers<void>()
            await wakeUp.promise
          }
          message = unread.shift()
        }
        if (message.message_type !== type) throw new Error(`received ${message.message_type} instead of ${type}`)
        return message as never
      },
    }
    act(peer, match[1] ?? '').catch(error => {
      if (!(error instanceof GoneError)) mistakes.push(error)
    })
  })

  async function act(peer: Peer, validator: string): Promise<void> {
    checkSignature(await peer.receive('V0AuthenticateRequest'), validator, hotkey)
    await script(peer)
  }

  await new Promise<void>(resolve => server.listen(0, HOST, resolve))
  const { port } = server.address() as AddressInfo
  return {
    hotkey,
    address: `${HOST}:${port}`,
    port,
    received,
    mistakes,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function isAuthenticationOf2026(data: unknown): boolean {
  return String(data).includes('"message_type":"ValidatorAuthForMiner"')
}

class GoneError extends Error {}

function checkSignature(request: V0AuthenticateRequest, inPath: string, miner: Hotkey): void {
  const { payload, signature, capabilities } = request
  if (payload.validator_hotkey !== inPath) throw new Error("the path has another validator's hotkey")
  if (payload.miner_hotkey !== miner.ss58) throw new Error('signed for another miner')
  if (Math.abs(payload.timestamp - Date.now() / 1000) > 10) throw new Error('signed at another time')
  if (!verifySignature(inPath, authenticationBytes(payload), signature))
    throw new Error('the signature does not verify')
  if (String(capabilities) !== 'large-frames,manifest') throw new Error(`capabilities are ${capabilities}`)
}

/** Returns the types of the validator's messages, in order, each after the number of its connection. */
export function messageTypes(miner: ScriptedMiner): string[] {
  return miner.received.map(({ connection, message }) => `${connection} ${message.message_type}`)
}

export const MANIFEST = {
  message_type: 'V0ExecutorManifestRequest',
  manifest: { executor_classes: [{ executor_class: 'always_on.test', count: 1 }] },
}

/** Sends what an honest miner sends up to a stage. */
export const play = {
  async offered(peer: Peer): Promise<V0InitialJobRequest> {
    return peer.receive('V0InitialJobRequest')
  },
  async accepted(peer: Peer): Promise<V0InitialJobRequest> {
    const offer = await play.offered(peer)
    peer.sendForJob('V0AcceptJobRequest')
    return offer
  },
  async ready(peer: Peer): Promise<V0InitialJobRequest> {
    const offer = await play.accepted(peer)
    peer.sendForJob('V0ExecutorReadyRequest')
    return offer
  },
  async working(peer: Peer): Promise<V0JobRequest> {
    await play.ready(peer)
    return peer.receive('V0JobRequest')
  },
  async finished(peer: Peer, stdout = 'right'): Promise<V0JobRequest> {
    const work = await play.working(peer)
    peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: stdout, docker_process_stderr: '' })
    return work
  },
}
