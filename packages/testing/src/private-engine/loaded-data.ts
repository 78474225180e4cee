/**
 * Keeps the data of an engine into which images were loaded, and copies it for other engines. To load the images takes
 * 18 s of processor time; a copy takes a fraction of a second, because it consists of hard links.
 */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { withDeadline } from '@horde/kit/time'
import { asRoot } from '../private-network.ts'

/** The images of executors and of their Python jobs, which `bin/setup` makes. */
export const LOADED_IMAGES = ['compute-horde/executor:v0', 'compute-horde/python:3.11']

const PREFIX = 'horde-engine-data-'
/** How long another process may take to load the images, in ms. */
const LOCK_MS = 180_000

/** Makes a copy. The engine changes no file in place but its databases, so a copy has databases of its own. */
const COPY = `
  cp -al "$1" "$2"
  find "$2" -name '*.db' -exec sh -c 'cp -p "$1" "$1.own" && mv "$1.own" "$1"' sh {} ';'
`

const run = promisify(execFile)

/**
 * Copies data with the images to a path that does not exist yet.
 *
 * @param load makes such data, and moves it to a path in one step. It is called when the machine has none, or none of
 *   the current images
 */
export async function copyLoadedData(to: string, load: (path: string) => Promise<void>): Promise<void> {
  const { stdout: ids } = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', ...LOADED_IMAGES])
  const kept = join(tmpdir(), `${PREFIX}${createHash('sha256').update(ids).digest('hex').slice(0, 12)}`)
  await using _ = await lock(join(tmpdir(), `${PREFIX}lock`))
  if (!existsSync(kept)) {
    await asRoot('sh', '-ec', 'rm -rf "$1"*/', 'sh', join(tmpdir(), PREFIX))
    await load(kept)
  }
  await asRoot('sh', '-ec', COPY, 'sh', kept, to)
}

/** Locks a file against other processes until the lock is disposed of, or this process ends. */
async function lock(path: string): Promise<AsyncDisposable> {
  const keeper = spawn('flock', [path, 'sh', '-c', 'echo locked; read -r _'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(keeper, 'exit')
  const unlock = async () => {
    keeper.stdin.end()
    await ended
  }
  try {
    await withDeadline(once(keeper.stdout, 'data'), LOCK_MS, 'the lock on the data of engines')
  } catch (error) {
    keeper.kill()
    throw error
  }
  return { [Symbol.asyncDispose]: unlock }
}
