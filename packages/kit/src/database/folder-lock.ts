import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseError } from './errors.ts'

/** flock's exit status when somebody else holds the lock. */
const LOCKED = 1

/**
 * Takes a folder for this process alone, until disposed of or until the process dies, however it dies: the lock is the
 * kernel's, on an open file. `flock` takes it on our open file and exits; it stays ours because the file does.
 *
 * @throws DatabaseError when another process has the folder
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // A bare descriptor: a FileHandle would be closed, and the lock lost, once nobody refers to it.
  const file = openSync(join(folder, 'lock'), 'a+', 0o600)
  try {
    await flock(file, folder)
    ftruncateSync(file)
    writeSync(file, `${process.pid}\n`)
  } catch (error) {
    closeSync(file)
    throw error
  }
  return { [Symbol.asyncDispose]: async () => closeSync(file) }
}

async function flock(file: number, folder: string): Promise<void> {
  const child = spawn('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', file] })
  const [code] = await once(child, 'exit').catch(cause => {
    throw new DatabaseError(`cannot lock ${folder}: flock (of util-linux) is not installed`, { cause })
  })
  if (code === 0) return
  if (code !== LOCKED) throw new DatabaseError(`cannot lock ${folder}: flock exited with ${code}`)
  const holder = /^\d+/.exec(readFileSync(join(folder, 'lock'), 'utf8'))?.[0]
  const message = `${folder} is in use by another process${holder ? ` (pid ${holder})` : ''}`
  throw new DatabaseError(message, { problem: 'in use' })
}
