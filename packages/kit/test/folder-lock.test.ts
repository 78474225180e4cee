import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lockFolder } from '@horde/kit/database/folder-lock'
import { afterAll, beforeAll, expect, test } from 'vitest'

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

/** Starts another process that tries to lock the folder. Resolves with its output. */
async function otherProcess(folder: string) {
  const child = spawn(process.execPath, [script, 'lock', folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.add(child)
  const [output] = await once(child.stdout, 'data')
  return { child, output: String(output).trim() }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('gives a folder to one of many processes at a time, also after a kill', async () => {
  const folder = join(root, 'contested')
  for (let round = 0; round < 2; round += 1) {
    const tried = await Promise.all(Array.from({ length: 4 }, () => otherProcess(folder)))
    const holders = tried.filter(each => each.output === 'held')
    expect(holders).toHaveLength(1)
    for (const { child, output } of tried) {
      if (output !== 'held') expect(output).toMatch(/is in use by another process( \(pid \d+\))?$/)
      await kill(child)
    }
  }
})

test('releases the lock when its owner ends, even if children of the owner live on', async () => {
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
