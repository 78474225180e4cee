import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'
import { parseFromValidator, type ValidatorToFacilitatorMessage } from '@horde/protocol/v0/facilitator-validator'
import { HOST } from './scripted-miner.ts'

export const SUCCESS = { status: 'success', errors: [] }

/**
 * Starts a facilitator that answers every message but heartbeats. `received` has the messages of all connections, in
 * order.
 */
export async function startFacilitator(answerLogin: () => object = () => SUCCESS) {
  const server = createServer()
  const router = upgradeRouter(server, { log: silentLog })
  const received: ValidatorToFacilitatorMessage[] = []
  const peers: { send(message: object | string): void; cut(): void }[] = []
  const watchers = new Set<() => void>()
  router.onUpgrade(/^\/ws\/v0\/$/, ws => {
    ws.on('message', data => {
      const parsed = parseFromValidator(String(data))
      if (!parsed.ok) throw parsed.error
      received.push(parsed.message)
      const isLogin = parsed.message.message_type === 'V0AuthenticationRequest'
      if (parsed.message.message_type !== 'V0Heartbeat') ws.send(JSON.stringify(isLogin ? answerLogin() : SUCCESS))
      if (parsed.message.message_type === 'V0AuthenticationRequest') {
        peers.push({
          send: message => ws.send(typeof message === 'string' ? message : JSON.stringify(message)),
          cut: () => ws.terminate(),
        })
      }
      for (const watcher of watchers) watcher()
    })
  })
  await new Promise<void>(resolve => server.listen(0, HOST, resolve))
  /** Resolves to what `find` returns, once that is neither undefined nor false. Calls it after each message. */
  const until = <T>(find: () => T | undefined | false) =>
    new Promise<T>(resolve => {
      const check = () => {
        const found = find()
        if (found === undefined || found === false) return
        watchers.delete(check)
        resolve(found)
      }
      watchers.add(check)
      check()
    })
  return {
    ...{ received, peers, until, uri: `ws://${HOST}:${(server.address() as AddressInfo).port}/ws/v0/` },
    updates: (uuid: string) => received.filter(each => each.message_type === 'V0JobStatusUpdate' && each.uuid === uuid),
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Returns a user's job as a facilitator requests it. */
export const request = (fields: object = {}) => ({
  ...{ type: 'job.new', message_type: 'V0JobRequest', uuid: randomUUID(), miner_hotkey: hotkeyFromUri('//Bob').ss58 },
  ...{ docker_image: 'echo:v0', raw_script: '', args: ['a', 'b c'], env: {}, use_gpu: false },
  ...{ input_url: '', output_url: '' },
  ...fields,
})
