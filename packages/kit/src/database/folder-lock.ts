import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseError } from './engine.ts'

/** flock's exit status when another process holds the lock. */
const LOCKED = 1

/**
 * Locks a folder for this process until disposed of, or until the process ends in any way. The kernel keeps the lock on
 * an open file: `flock` takes it on our file and exits, and the lock stays as long as the file is open.
 *
 * @throws DatabaseError when another process uses the folder
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // A descriptor and not a FileHandle: garbage collection would close a FileHandle and release the lock.
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
