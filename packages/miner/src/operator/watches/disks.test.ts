import { expect, it } from 'vitest'
import { roomOf } from './disks.ts'

const HEAD = 'Filesystem           1024-blocks      Used Available Capacity  Mounted on'

it.each([
  [`${HEAD}\n/dev/vda              263112772  16252928  79691776      17% /tmp\n`, 79_691_776],
  [`${HEAD}\noverlay with spaces 100 20 80 20% /tmp`, 80],
])('reads the output of df', (output, freeKb) => {
  expect(roomOf(output)).toMatchObject({ free: freeKb * 1024, inodesPercent: 100 })
})

it('returns undefined for any other output', () => {
  expect([roomOf(''), roomOf(`${HEAD}\n`), roomOf('df: /tmp: No such file')]).toEqual([undefined, undefined, undefined])
})
