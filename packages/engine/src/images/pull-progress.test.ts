import { expect, test } from 'vitest'
import type { PullEvent } from './images.ts'
import { PullProgress } from './pull-progress.ts'

const after = (...events: PullEvent[]) => {
  const progress = new PullProgress()
  for (const event of events) progress.add(event)
  return progress
}
const downloading = (id: string, current: number, total?: number): PullEvent => {
  return { id, status: 'Downloading', progressDetail: total === undefined ? { current } : { current, total } }
}

test('sums the bytes of all layers', () => {
  const progress = after(
    { id: '3.11', status: 'Pulling from library/python' },
    { id: 'a', status: 'Already exists', progressDetail: {} },
    { id: 'b', status: 'Pulling fs layer', progressDetail: {} },
    { id: 'c', status: 'Waiting', progressDetail: {} },
    downloading('b', 40, 100),
    downloading('c', 5, 50),
    { id: 'c', status: 'Download complete', progressDetail: {} },
  )
  expect(progress.sum()).toEqual({ layers: 3, layersDone: 1, bytes: 90, totalBytes: 150 })
})

test('counts a layer once when it is unpacked, and counts what came of a layer without a size', () => {
  const progress = after(
    downloading('a', 100, 100),
    { id: 'a', status: 'Extracting', progressDetail: { current: 7, total: 100 } },
    { id: 'a', status: 'Pull complete', progressDetail: {} },
    downloading('b', 12),
  )
  expect(progress.sum()).toEqual({ layers: 2, layersDone: 1, bytes: 112, totalBytes: 112 })
})

test('has not begun when the engine already has the image', () => {
  const upToDate = after(
    { id: 'latest', status: 'Pulling from e' },
    { status: 'Digest: sha256:0' },
    { status: 'Status: Image is up to date for e:latest' },
  )
  expect(upToDate.hasBegun).toBe(false)
  expect(after({ id: 'a', status: 'Pulling fs layer', progressDetail: {} }).hasBegun).toBe(true)
})
