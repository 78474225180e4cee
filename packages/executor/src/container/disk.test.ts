import { expect, test } from 'vitest'
import { runsShort } from './disk.ts'

const DISK = { bytes: 1_000, freeBytes: 500, inodes: 1_000, freeInodes: 500 }

test.each([
  ['nothing changed', {}, {}, false],
  ['much was written, and much is left', {}, { freeBytes: 100 }, false],
  ['much was written, and little is left', {}, { freeBytes: 49 }, true],
  ['many files were made, and little is left', {}, { freeInodes: 49 }, true],
  ['the disk was as full before', { freeBytes: 45 }, { freeBytes: 40 }, false],
  ['the disk was nearly as full before, and much of the rest went', { freeBytes: 60 }, { freeBytes: 45 }, true],
  [
    'a file system that makes inodes as it needs them',
    { inodes: 0, freeInodes: 0 },
    { inodes: 0, freeInodes: 0 },
    false,
  ],
])('detects a nearly full disk: %s', (_, before, now, short) => {
  expect(runsShort({ ...DISK, ...before }, { ...DISK, ...now })).toBe(short)
})
