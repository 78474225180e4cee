import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Hex } from '../scale/bytes.ts'
import { u16 } from '../scale/primitives.ts'
import { map, place, twox, value } from '../table/storage-entry.ts'
import { type Changes, State } from './state.ts'
import { Store } from './store.ts'

const KEYS: Hex[] = ['0x01', '0x0102', '0x0103', '0x02', '0xff']
const WINDOW = 5

test('reads every block of the window as it was', () => {
  const change = fc.tuple(fc.constantFrom(...KEYS), fc.option(fc.integer({ min: 0, max: 255 })))
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 20 }), blocks => {
      const state = new State(WINDOW)
      const copies: Map<Hex, number>[] = []
      for (const [block, changes] of blocks.entries()) {
        const copy = new Map(copies.at(-1))
        for (const [key, one] of changes) one === null ? copy.delete(key) : copy.set(key, one)
        copies.push(copy)
        const bytes = changes.map(([key, one]): [Hex, Uint8Array | null] => [
          key,
          one === null ? null : new Uint8Array([one]),
        ])
        state.commit(block, new Map(bytes) satisfies Changes)
      }
      for (let block = state.oldest; block < blocks.length; block++) {
        const reader = state.at(block)
        const copy = copies[block] as Map<Hex, number>
        for (const key of KEYS) expect(reader.get(key)?.[0]).toBe(copy.get(key))
        expect(reader.keys('0x01')).toEqual([...copy.keys()].filter(key => key.startsWith('0x01')).sort())
      }
      expect(state.oldest).toBe(Math.max(0, blocks.length - WINDOW))
    }),
  )
})

const table = place('Test', { One: value(u16, 7), Many: map([twox(u16)], u16, 0) })

test('rolls a layer back completely, and reports no change where nothing changed', () => {
  const state = new State(WINDOW)
  const first = new Store(state.at(0))
  first.set(table.Many, [1], 10)
  state.commit(0, first.changes())
  const store = new Store(state.at(0))
  store.set(table.Many, [1], 10)
  store.begin()
  store.set(table.One, [], 8)
  store.remove(table.Many, [1])
  expect([store.get(table.One), store.entries(table.Many)]).toEqual([8, []])
  store.rollback()
  expect([store.get(table.One), store.get(table.Many, 1)]).toEqual([7, 10])
  expect(store.changes().size).toBe(0)
  store.begin()
  store.set(table.Many, [2], 20)
  store.commit()
  expect(store.entries(table.Many)).toEqual(
    expect.arrayContaining([
      { keys: [1], value: 10 },
      { keys: [2], value: 20 },
    ]),
  )
  expect(store.changes().size).toBe(1)
})
