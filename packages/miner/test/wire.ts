/** A validator's connection that says any frame, and hears messages as they come: by a WebSocket that is not ours. */

import type { Hotkey } from '@horde/chain/wallet'
import { Inbox } from '@horde/kit/socket/inbox'
import { WAIT_MS } from '@horde/kit/testing/limits'
import type { MinerMessage } from '@horde/protocol/validator-miner'
import { authentication } from './harness.ts'

export type Wire = {
  send(frame: string | Uint8Array): void
  say(message: object): void
  next(): Promise<MinerMessage>
  close(): void
  /** Resolves to the code. */
  closed: Promise<number>
}

export async function connectWire(miner: { url: string }, key: Hotkey, how?: 'unauthenticated'): Promise<Wire> {
  const socket = new WebSocket(`${miner.url}/v0.1/validator_interface/${key.ss58}`)
  const heard = new Inbox<MinerMessage>()
  socket.addEventListener('message', ({ data }) => heard.put(JSON.parse(String(data))))
  const closed = new Promise<number>(resolve => socket.addEventListener('close', ({ code }) => resolve(code)))
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', reject)
  })
  const send = (frame: string | Uint8Array) => socket.send(frame)
  const say = (message: object) => send(JSON.stringify(message))
  if (how !== 'unauthenticated') say(authentication(key))
  const next = async () => {
    const message = await heard.next(WAIT_MS, new AbortController().signal)
    if (!message) throw new Error('nothing was said')
    return message
  }
  return { send, say, next, close: () => socket.close(), closed }
}
