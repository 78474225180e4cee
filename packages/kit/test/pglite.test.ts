import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DatabaseError, openDatabase } from '@horde/kit/database'
import { lockFolder } from '@horde/kit/database/folder-lock'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { allJobs, migrationsFolder } from './jobs.ts'

const script = fileURLToPath(new URL('children/holder.ts', import.meta.url))
const children = new Set<ChildProcess>()
let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'horde-kit-'))
})

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(root, { recursive: true, force: true })
})

/** Another process that tries to take the folder; resolves with what it said. */
async function otherProcess(what: 'lock' | 'open', folder: string) {
  const child = spawn(process.execPath, [script, what, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.add(child)
  const [said] = await once(child.stdout, 'data')
  return { child, said: String(said).trim() }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('a folder that another process has open is refused; what it wrote before a kill -9 is there after', async () => {
  const folder = join(root, 'deep', 'database')
  const { child, said } = await otherProcess('open', folder)
  expect(said).toBe('held')
  const url = `pglite://${folder}`
  const error = await openDatabase({ url, migrationsFolder }).catch(error => error)
  expect(error).toBeInstanceOf(DatabaseError)
  expect(error.message).toBe(`${folder} is in use by another process (pid ${child.pid})`)
  await kill(child)
  await using opened = await openDatabase({ url, migrationsFolder })
  expect(await allJobs(opened.db)).toMatchObject([{ id: 1, state: 'kept' }])
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  await expect(openDatabase({ url, migrationsFolder })).rejects.toThrow(
    `in use by another process (pid ${process.pid})`,
  )
})

test('of many who want a folder at once one gets it, again and again, also after a kill', async () => {
  const folder = join(root, 'contested')
  for (let round = 0; round < 2; round += 1) {
    const tried = await Promise.all(Array.from({ length: 4 }, () => otherProcess('lock', folder)))
    const holders = tried.filter(each => each.said === 'held')
    expect(holders).toHaveLength(1)
    for (const { child, said } of tried) {
      if (said !== 'held') expect(said).toMatch(/is in use by another process( \(pid \d+\))?$/)
      await kill(child)
    }
  }
})

test('a lock ends with its owner, and children of the owner do not keep it', async () => {
  const folder = join(root, 'mine')
  const sleeper = await (async () => {
    await using _lock = await lockFolder(folder)
    await expect(lockFolder(folder)).rejects.toThrow('in use')
    return spawn('sleep', ['60'])
  })()
  await using again = await lockFolder(folder)
  expect(again).toBeDefined()
  sleeper.kill()
})
