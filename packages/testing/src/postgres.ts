import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { withDeadline } from '@horde/kit/time'
import { Client } from 'pg'
import { freePort } from './port.ts'

const run = promisify(execFile)

/** Debian and Ubuntu install the server's binaries here, in a folder for each version. */
const INSTALLED = '/usr/lib/postgresql'
/** The user that Debian's package makes. The server refuses to run as root. */
const SERVER_USER = 'postgres'
/** The folders of the commands that this file runs. */
const SYSTEM_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'
/** How often to try another port when a different process took the free one first. */
const ATTEMPTS = 5
/** How long the server may take to start or stop, in ms. */
const DEADLINE_MS = 30_000

/**
 * Runs the server until the shell's stdin has a line or closes. It closes when the tests are killed, so that even then
 * the server stops and its folder is removed. The server writes without durability, because its data is thrown away.
 */
const KEEPER = `
  "$BIN/postgres" -D "$DIR/data" -k '' -h 127.0.0.1 -p "$PORT" -F -c synchronous_commit=off \
    -c full_page_writes=off -c shared_buffers=32MB -c max_connections=200 -c autovacuum=off </dev/null &
  read -r how
  kill -INT $! 2>/dev/null
  wait $!
  [ "$how" = keep ] || rm -rf "$DIR"
`

export interface TestPostgres extends AsyncDisposable {
  /** The `postgres://…` URL of a database that exists. */
  readonly url: string
  /** Makes another, empty database on the same server, and returns its URL. */
  newDatabase(): Promise<string>
  /** Stops the server as an operator would, and starts it again on the same port with the same data. */
  restart(): Promise<void>
  stop(): Promise<void>
  start(): Promise<void>
}

/**
 * Starts a private Postgres on loopback, in a temporary folder that disposing of it removes. When run by root, the
 * server runs as the user `postgres`.
 *
 * @throws Error when Postgres is not installed
 */
export async function startPostgres(): Promise<TestPostgres> {
  const bin = await findBinaries()
  const dir = await makeFolder()
  const env = { BIN: bin, DIR: dir, PATH: SYSTEM_PATH, LC_ALL: 'C' }
  const initdb = ['-D', join(dir, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']
  try {
    await run(...asServerUser(join(bin, 'initdb'), initdb), { env, cwd: dir })
    let server = await startSomewhere(env)
    const url = (name: string) => `postgres://postgres@127.0.0.1:${server.port}/${name}`
    const stop = () => server.stop('keep')
    const start = async () => {
      server = await startServer(env, server.port)
    }
    return {
      url: url('postgres'),
      newDatabase: () => createDatabase(url('postgres'), url),
      stop,
      start,
      async restart() {
        await stop()
        await start()
      },
      async [Symbol.asyncDispose]() {
        await server.stop('remove')
        await rm(dir, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }
}

async function findBinaries(): Promise<string> {
  const versions = await readdir(INSTALLED).catch(() => [])
  const newest = versions.sort((a, b) => Number(b) - Number(a)).map(version => join(INSTALLED, version, 'bin'))
  const found = newest.find(bin => existsSync(join(bin, 'initdb')))
  if (!found) throw new Error(`PostgreSQL's server is not installed (nothing in ${INSTALLED}): run bin/setup`)
  return found
}

/** Makes a folder that the server's user owns. */
async function makeFolder(): Promise<string> {
  const template = join(tmpdir(), 'horde-postgres-')
  if (process.getuid?.() !== 0) return mkdtemp(template)
  const { stdout } = await run(...asServerUser('mktemp', ['-d', `${template}XXXXXX`]))
  const dir = stdout.trim()
  await chmod(dir, 0o700)
  return dir
}

function asServerUser(command: string, args: string[]): [string, string[]] {
  if (process.getuid?.() !== 0) return [command, args]
  return ['setpriv', [`--reuid=${SERVER_USER}`, `--regid=${SERVER_USER}`, '--init-groups', command, ...args]]
}

type ServerEnv = { BIN: string; DIR: string; PATH: string; LC_ALL: string }

interface Server {
  port: number
  stop(then: 'keep' | 'remove'): Promise<void>
}

async function startSomewhere(env: ServerEnv): Promise<Server> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startServer(env, await freePort())
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
    }
  }
}

async function startServer(env: ServerEnv, port: number): Promise<Server> {
  const [command, args] = asServerUser('sh', ['-c', KEEPER])
  const keeper = spawn(command, args, {
    env: { ...env, PORT: String(port) },
    cwd: env.DIR,
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
  })
  const exited = once(keeper, 'exit')
  const stop = async (then: string) => {
    if (keeper.exitCode === null && keeper.signalCode === null) keeper.stdin.end(`${then}\n`)
    await withDeadline(exited, DEADLINE_MS, 'stopping Postgres')
  }
  try {
    await withDeadline(ready(keeper), DEADLINE_MS, 'starting Postgres')
  } catch (error) {
    await stop('keep')
    throw error
  }
  return { port, stop }
}

/** Resolves once the server accepts connections. Rejects with its log when it fails to start. */
function ready(keeper: ChildProcess & { stderr: NodeJS.ReadableStream }): Promise<void> {
  return new Promise((resolve, reject) => {
    const log: string[] = []
    const lines = createInterface({ input: keeper.stderr })
    lines.on('line', line => {
      log.push(line)
      if (/ready to accept connections/.test(line)) {
        lines.close()
        keeper.stderr.resume()
        resolve()
      }
      // Ignores the FATAL line for a client that connected while the server was starting.
      if (/FATAL:(?!.*the database system is)/.test(line))
        reject(new Error(`Postgres did not start:\n${log.join('\n')}`))
    })
    keeper.once('error', reject)
  })
}

async function createDatabase(admin: string, url: (name: string) => string): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  const client = new Client(admin)
  await client.connect()
  try {
    await client.query(`create database ${name}`)
  } finally {
    await client.end()
  }
  return url(name)
}
