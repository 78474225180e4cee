import { expect, it } from 'vitest'
import { ExecutorPool } from './pool.ts'

it('reserves as many executors as there are of a class, and no other', () => {
  const pool = new ExecutorPool({ a: 2, b: 0 })
  const first = pool.reserve('a')
  const second = pool.reserve('a')
  expect([first?.executorClass, second?.executorClass]).toEqual(['a', 'a'])
  expect([pool.reserve('a'), pool.reserve('b'), pool.reserve('c')]).toEqual([undefined, undefined, undefined])
  first?.release()
  first?.release()
  expect(pool.usage()).toContainEqual({ executorClass: 'a', taken: 1, places: 2 })
  expect(pool.reserve('a')).toBeDefined()
  expect(pool.reserve('a'), 'releasing twice gives back one place').toBeUndefined()
})

it('lists all its executors, taken or not', () => {
  const pool = new ExecutorPool({ a: 2 })
  pool.reserve('a')
  expect(pool.manifest()).toEqual([{ executor_class: 'a', count: 2 }])
})

it('reserves nothing once closed', () => {
  const pool = new ExecutorPool({ a: 1 })
  pool.close()
  expect(pool.reserve('a')).toBeUndefined()
})
