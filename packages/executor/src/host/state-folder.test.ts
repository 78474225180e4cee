import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { createLog, silentLog } from '@horde/kit/log'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStateFolder } from './state-folder.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'state-folder-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

test('reads what was written, also in another executor, and keeps other users out', async () => {
  const path = join(root, 'a', 'b')
  const folder = await openStateFolder(path, silentLog)
  await folder.write('host.json', { a: [1, 'ü'] })
  expect(await (await openStateFolder(path, silentLog)).read('host.json')).toEqual({ a: [1, 'ü'] })
  expect((await stat(path)).mode & 0o777).toBe(0o700)
  expect((await stat(join(path, 'host.json'))).mode & 0o777).toBe(0o600)
  expect(await folder.names()).toEqual(['host.json'])
  await folder.remove('host.json')
  expect(await folder.read('host.json')).toBeUndefined()
})

test('keeps the whole value of one of many concurrent writers', async () => {
  const folder = await openStateFolder(root, silentLog)
  const values = Array.from({ length: 20 }, (_, index) => ({ index, filler: String(index).repeat(10_000) }))
  await Promise.all(values.map(value => folder.write('value.json', value)))
  expect(values).toContainEqual(await folder.read('value.json'))
  expect(await readdir(root)).toEqual(['value.json'])
})

test.each([
  ['is missing', async () => {}],
  ['is no JSON', (path: string) => writeFile(path, '{"a":', { mode: 0o600 })],
  ['is empty', (path: string) => writeFile(path, '', { mode: 0o600 })],
  ['is a folder', (path: string) => mkdir(path)],
  ['is a link', (path: string) => writeFile(`${path}.real`, '1').then(() => symlink(`${path}.real`, path))],
  ['others may write to', (path: string) => writeFile(path, '1').then(() => chmod(path, 0o666))],
  ['is very long', (path: string) => writeFile(path, `"${'x'.repeat(5_000_000)}"`, { mode: 0o600 })],
])('ignores a file that %s', async (_, make) => {
  const folder = await openStateFolder(root, silentLog)
  await make(join(root, 'host.json'))
  expect(await folder.read('host.json')).toBeUndefined()
})

test('warns and keeps nothing when the folder cannot be created or others may write to it', async () => {
  await writeFile(join(root, 'file'), '')
  await mkdir(join(root, 'open'))
  await chmod(join(root, 'open'), 0o777)
  let lines = ''
  const destination = new Writable({
    write(chunk, _, done) {
      lines += chunk
      done()
    },
  })
  const log = createLog('test', { destination })
  for (const path of [join(root, 'file', 'folder'), '/proc/a/b', join(root, 'open'), undefined]) {
    lines = ''
    const folder = await openStateFolder(path, log)
    expect(JSON.parse(lines)).toMatchObject({ level: 'warn' })
    await folder.write('a', 1)
    expect([folder.path, await folder.read('a'), await folder.names()]).toEqual([undefined, undefined, []])
  }
})

test('removes old unfinished files of killed executors', async () => {
  const [old, young] = [join(root, '.unfinished-old'), join(root, '.unfinished-young')]
  await Promise.all([writeFile(old, ''), writeFile(young, '')])
  const yesterday = Date.now() / 1_000 - 86_400
  await utimes(old, yesterday, yesterday)
  const folder = await openStateFolder(root, silentLog)
  expect(await readdir(root)).toEqual(['.unfinished-young'])
  expect(await folder.names()).toEqual([])
})
