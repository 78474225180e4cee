/** Leads a socket of this machine to an engine's socket on another host, with OpenSSH's own client. */
import { access, mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Log, silentLog } from '@horde/kit/log'
import { keepConnected } from '@horde/kit/reconnect'
import { type Clock, withDeadline } from '@horde/kit/time'
import { engineUrl, type SshEngine } from '../engine-address.ts'
import { CONNECT_SECONDS, SshConnection } from './ssh-connection.ts'

/** How often a new socket is tried until it takes connections, in ms. */
const TRY_MS = 50
/** After so long, in ms, a tunnel counts as good: its loss starts the retries with the shortest pause. */
const STABLE_MS = 10_000
const BACKOFF = { minMs: 500, maxMs: 30_000, jitterMs: 500 }
/** How long a call waits for the tunnel, in ms. */
const READY_MS = 20_000
/** How long ssh may take to print why a connection through it broke off, in ms. */
const REASON_MS = 1_000

type Dependencies = { clock: Clock; log: Log }
type Options = { clock: Clock; log?: Log | undefined }

export class SshTunnel implements AsyncDisposable {
  /** The socket of this machine. */
  readonly socket: string
  readonly #engine: SshEngine
  readonly #folder: string
  readonly #dependencies: Dependencies
  readonly #over = new AbortController()
  #keeping: Promise<unknown> | undefined
  #connection: SshConnection | undefined
  /** The current attempt to connect, or the last one. */
  #attempt = newAttempt()

  private constructor(engine: SshEngine, folder: string, dependencies: Dependencies) {
    this.socket = join(folder, 'engine.sock')
    this.#engine = engine
    this.#folder = folder
    this.#dependencies = dependencies
  }

  /** Starts to keep a tunnel open. Does not wait for it. Rejects when a file is missing that ssh needs. */
  static async open(engine: SshEngine, { clock, log = silentLog }: Options): Promise<SshTunnel> {
    for (const name of ['identity', 'knownHosts'] as const) {
      await access(engine.ssh[name]).catch(cause => {
        throw new Error(`${engine.ssh[name]}, for ssh, cannot be read`, { cause })
      })
    }
    const tunnel = new SshTunnel(engine, await mkdtemp(join(tmpdir(), 'compute-horde-ssh-')), { clock, log })
    tunnel.#keeping = tunnel.#keep()
    return tunnel
  }

  /** Resolves when there is a tunnel. Rejects with the reason when the last attempt failed. */
  ready(): Promise<void> {
    return withDeadline(this.#attempt.promise, READY_MS, `ssh to ${engineUrl(this.#engine)}`)
  }

  /** Returns why calls fail, for the operator; undefined when ssh printed nothing. */
  async failure(): Promise<string | undefined> {
    const connection = this.#connection
    if (!connection) return undefined
    // The connection breaks before ssh prints the reason.
    await withDeadline(connection.hasPrinted, REASON_MS, 'ssh to print a reason').catch(() => {})
    return connection.failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error('the tunnel is closed'))
    this.#attempt.end(new Error('the tunnel is closed'))
    await this.#keeping
    await rm(this.#folder, { recursive: true, force: true })
  }

  #keep(): Promise<unknown> {
    const { clock, log } = this.#dependencies
    return keepConnected({
      dial: async () => {
        if (this.#attempt.hasEnded) this.#attempt = newAttempt()
        return this.#connect().then(
          connection => {
            this.#attempt.end()
            return connection
          },
          error => {
            this.#attempt.end(error)
            throw error
          },
        )
      },
      use: async ({ ended }, signal) => {
        await Promise.race([ended, aborted(signal)])
        // From now on a call waits for the next attempt: the outcome of this one no longer holds.
        if (!signal.aborted) this.#attempt = newAttempt()
      },
      backoff: BACKOFF,
      stableMs: STABLE_MS,
      clock,
      log: log.child({ engine: engineUrl(this.#engine) }),
      signal: this.#over.signal,
    })
  }

  async #connect(): Promise<SshConnection> {
    await rm(this.socket, { force: true })
    const connection = new SshConnection(this.#engine, this.socket)
    const over = new AbortController()
    const ended = connection.ended.then(() =>
      over.abort(new Error(connection.failure ?? 'ssh ended and printed nothing')),
    )
    try {
      await this.#untilReachable(AbortSignal.any([over.signal, this.#over.signal]))
      this.#connection = connection
      return connection
    } catch (error) {
      await connection[Symbol.asyncDispose]()
      await ended
      throw new Error(`${engineUrl(this.#engine)}: ${(error as Error).message}`)
    }
  }

  /** Resolves when the socket takes connections: ssh creates it after the login. */
  async #untilReachable(signal: AbortSignal): Promise<void> {
    const { clock } = this.#dependencies
    const deadline = clock.monotonic() + 2 * CONNECT_SECONDS * 1000
    while (!(await acceptsConnections(this.socket))) {
      if (clock.monotonic() > deadline) throw new Error('the login did not succeed in time')
      await clock.sleep(TRY_MS, signal)
    }
  }
}

function acceptsConnections(socket: string): Promise<boolean> {
  return new Promise(resolve => {
    const connection = connect(socket)
    connection.once('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.once('error', () => resolve(false))
  })
}

function newAttempt() {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  promise.catch(() => {})
  const attempt = {
    promise,
    hasEnded: false,
    end: (error?: unknown) => {
      attempt.hasEnded = true
      if (error === undefined) resolve()
      else reject(error)
    },
  }
  return attempt
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
