import type { Readable } from 'node:stream'
import { type Header, pack } from 'tar-stream'
import { expect, test } from 'vitest'
import { readArtifacts } from './artifacts.ts'

type Entry = Partial<Header> & { name: string; text?: string }

function artifactsOf(entries: readonly Entry[], folder = '/artifacts') {
  const openTar = async () => {
    const tar = pack()
    tar.entry({ name: 'artifacts/', type: 'directory' })
    for (const { name, text = '', ...header } of entries) {
      tar.entry({ ...header, name: `artifacts/${name}` } as Header, text)
    }
    tar.finalize()
    return tar as unknown as Readable
  }
  return readArtifacts({ openTar, folder: '/unused' }, folder, AbortSignal.timeout(60_000))
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

test('returns the small files directly in the folder, by the name that the job gave it', async () => {
  const entries = [
    { name: 'é ü', text: 'text' },
    { name: 'empty' },
    { name: 'deep/', type: 'directory' as const },
    { name: 'deep/file', text: 'not direct' },
    { name: 'most', text: 'x'.repeat(999_999) },
    { name: 'over', text: 'x'.repeat(1_000_000) },
  ]
  const { files, areCut } = await artifactsOf(entries, '/my/folder')
  expect(files).toEqual({
    '/my/folder/é ü': base64('text'),
    '/my/folder/empty': '',
    '/my/folder/most': base64('x'.repeat(999_999)),
  })
  expect(areCut).toBe(false)
})

test('leaves out links and special files, and finds a file under each of its names', async () => {
  const { files } = await artifactsOf([
    { name: 'symlink', type: 'symlink', linkname: '/etc/passwd' },
    { name: 'fifo', type: 'fifo' },
    { name: 'deep/first', text: 'deep' },
    { name: 'large/first', text: 'x'.repeat(1_000_000) },
    { name: 'a', text: 'a' },
    { name: 'of-a', type: 'link', linkname: 'artifacts/a' },
    { name: 'of-deep', type: 'link', linkname: 'artifacts/deep/first' },
    { name: 'of-large', type: 'link', linkname: 'artifacts/large/first' },
    { name: 'deep/of-a', type: 'link', linkname: 'artifacts/a' },
    { name: 'of-nothing', type: 'link', linkname: 'artifacts/nothing' },
  ])
  expect(files).toEqual({
    '/artifacts/a': base64('a'),
    '/artifacts/of-a': base64('a'),
    '/artifacts/of-deep': base64('deep'),
  })
})

test('leaves out what a frame could not hold, and tells', async () => {
  const many = Array.from({ length: 1_001 }, (_, index) => ({ name: `${index}`, text: 'x' }))
  const large = Array.from({ length: 17 }, (_, index) => ({ name: `${index}`, text: 'x'.repeat(999_999) }))
  for (const [entries, kept] of [
    [many, 1_000],
    [large, 16],
    [many.slice(1), 1_000],
  ] as const) {
    const { files, areCut } = await artifactsOf(entries)
    expect(Object.keys(files)).toHaveLength(kept)
    expect(areCut).toBe(entries.length > kept)
  }
})
