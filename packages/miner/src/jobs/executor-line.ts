/**
 * The line to one executor: however often it connects with its token, all its connections are kept, the newest is
 * spoken on, and every one is listened to.
 */

import type { Socket } from '@horde/kit/socket'
import type { Parsed } from '@horde/protocol/frame'
import type { ExecutorMessage, MinerToExecutorMessage } from '@horde/protocol/miner-executor'

export type ExecutorSocket = Socket<Parsed<ExecutorMessage>, MinerToExecutorMessage>

export class ExecutorLine {
  readonly #sockets: ExecutorSocket[] = []
  /** Resolves when the last connection is gone and all it said has been heard. Undefined while there is none. */
  #quiet: PromiseWithResolvers<void> | undefined

  get isConnected(): boolean {
    return this.#sockets.length > 0
  }

  attach(socket: ExecutorSocket): void {
    this.#sockets.push(socket)
    this.#quiet ??= Promise.withResolvers<void>()
  }

  /** Called when a connection has ended and everything it said has been heard. */
  detach(socket: ExecutorSocket): void {
    const index = this.#sockets.indexOf(socket)
    if (index >= 0) this.#sockets.splice(index, 1)
    if (this.#sockets.length > 0) return
    this.#quiet?.resolve()
    this.#quiet = undefined
  }

  /** Says a message on the newest connection. False when there is none, or when it closed meanwhile. */
  async say(message: MinerToExecutorMessage): Promise<boolean> {
    const newest = this.#sockets.findLast(socket => socket.isOpen)
    if (!newest) return false
    try {
      await newest.say(message)
      return true
    } catch {
      return false
    }
  }

  /** Resolves once no connection is left and all was heard; at once when there is none. */
  async quiet(): Promise<void> {
    await this.#quiet?.promise
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map(socket => socket.close(1000)))
  }
}
