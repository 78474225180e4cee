import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
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
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = await open(join(folder, 'lock'), 'a+', 0o600)
  try {
    await flock(file, folder)
    await file.truncate()
    await file.write(`${process.pid}\n`)
  } catch (error) {
    await file.close()
    throw error
  }
  return { [Symbol.asyncDispose]: () => file.close() }
}

async function flock(file: FileHandle, folder: string): Promise<void> {
  const child = spawn('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', file.fd] })
  const [code] = await once(child, 'exit').catch(cause => {
    throw new DatabaseError(`cannot lock ${folder}: flock (of util-linux) is not installed`, { cause })
  })
  if (code === 0) return
  if (code !== LOCKED) throw new DatabaseError(`cannot lock ${folder}: flock exited with ${code}`)
  const holder = (await file.read({ position: 0 })).buffer.toString('utf8').match(/^\d+/)?.[0]
  throw new DatabaseError(`${folder} is in use by another process${holder ? ` (pid ${holder})` : ''}`)
}
