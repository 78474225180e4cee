/**
 * A power cut, as the kernel can make one: a file system of the test's own is shut down without what was not flushed,
 * and mounted again. Needs root, or sudo without a password.
 */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { withDeadline } from '@horde/kit/time'
import { WAIT_MS } from '@horde/testing/limits'
import { PrivateNetwork } from '@horde/testing/private-network'
import { afterAll, beforeAll, expect, test } from 'vitest'

const run = promisify(execFile)
const WRITER = fileURLToPath(new URL('children/writer.ts', import.meta.url))
const DISK_BYTES = 300 * 1024 * 1024
/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH. */
const CUT = 'open(my $d, "<", $ARGV[0]) or die $!; my $f = pack("L", 2); ioctl($d, 0x8004587d, $f) or die $!'

let root: string
let there: PrivateNetwork
const disk = () => join(root, 'disk')
const mounted = () => join(root, 'mounted')

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'horde-power-'))
  await writeFile(disk(), '')
  await truncate(disk(), DISK_BYTES)
  await run('mkfs.ext4', ['-q', '-F', disk()])
  await mkdir(mounted())
  there = await PrivateNetwork.start([`mount -o loop ${disk()} ${mounted()}`])
})

afterAll(async () => {
  await there?.[Symbol.asyncDispose]()
  await rm(root, { recursive: true, force: true })
})

function inside(...command: string[]): Promise<{ stdout: string }> {
  const [program, ...args] = there.inside(...command)
  return run(program, args)
}

function startWriter(folder: string, what = 'write'): ChildProcessWithoutNullStreams {
  const [program, ...args] = there.inside(process.execPath, WRITER, what, folder)
  return spawn(program, args, { stdio: 'pipe' })
}

/**
 * Returns the numbers that the writer prints until it notices that its disk is gone. Takes the disk away once it has
 * printed as many as are wanted.
 */
async function reportedBy(writer: ChildProcessWithoutNullStreams, wanted: number, cut: () => Promise<unknown>) {
  const ids: number[] = []
  const enough = Promise.withResolvers<void>()
  const ended = once(writer, 'close')
  writer.stderr.resume()
  createInterface({ input: writer.stdout }).on('line', line => {
    ids.push(Number(line))
    if (ids.length >= wanted) enough.resolve()
  })
  void ended.then(() => enough.reject(new Error('the writer ended early')))
  await withDeadline(enough.promise, WAIT_MS, 'jobs to be stored')
  await cut()
  await withDeadline(ended, WAIT_MS, 'the writer to end')
  return ids
}

test('keeps all committed data after a power cut', async () => {
  const folder = join(mounted(), 'database')
  const all: number[] = []
  // First in a new database, then in one that was just recovered. A checkpoint follows every few jobs.
  for (const wanted of [1, 10, 16]) {
    all.push(...(await reportedBy(startWriter(folder), wanted, () => inside('perl', '-e', CUT, mounted()))))
    await inside('umount', mounted())
    await inside('mount', '-o', 'loop', disk(), mounted())
    const { stdout } = await inside(process.execPath, WRITER, 'read', folder)
    expect(JSON.parse(stdout)).toEqual(expect.arrayContaining(all))
  }
  expect(new Set(all).size).toBe(all.length)
})

test('keeps a database that was made without a template', async () => {
  const folder = join(mounted(), 'made')
  await inside('mkdir', folder)
  const maker = startWriter(folder, 'make')
  const cut = async () => {
    await inside('perl', '-e', CUT, mounted())
    maker.stdin.end()
  }
  expect(await reportedBy(maker, 1, cut)).toEqual([1])
  await inside('umount', mounted())
  await inside('mount', '-o', 'loop', disk(), mounted())
  const { stdout } = await inside(process.execPath, WRITER, 'read', folder)
  expect(JSON.parse(stdout)).toEqual([])
})

test('rejects queries on a full disk, and keeps all committed data', async () => {
  const folder = join(mounted(), 'filled')
  const filler = join(mounted(), 'filler')
  const fill = () => inside('dd', 'if=/dev/zero', `of=${filler}`, 'bs=64k').catch(() => {})
  const stored = await reportedBy(startWriter(folder), 3, fill)
  await inside('rm', filler)
  const { stdout } = await inside(process.execPath, WRITER, 'read', folder)
  expect(JSON.parse(stdout)).toEqual(expect.arrayContaining(stored))
})
