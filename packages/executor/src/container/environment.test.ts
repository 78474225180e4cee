import { expect, test } from 'vitest'
import { environmentOf } from './environment.ts'

test('returns the variables of a job as they are', () => {
  expect(environmentOf({ A: '1', 'b.c-d': 'x=y', EMPTY: '', é: 'ü\n' }, [])).toEqual([
    'A=1',
    'b.c-d=x=y',
    'EMPTY=',
    'é=ü\n',
  ])
})

test("leaves out what the sandbox sets itself, so that a job cannot ask for the host's devices", () => {
  const env = { NVIDIA_VISIBLE_DEVICES: 'all', NVIDIA_VISIBLE: 'mine', A: '1' }
  expect(environmentOf(env, ['NVIDIA_VISIBLE_DEVICES=void'])).toEqual(['NVIDIA_VISIBLE=mine', 'A=1'])
})

test.each([
  [{ '': 'x' }, 'A variable of the job has no valid name or value'],
  [{ 'a=b': 'x' }, 'A variable of the job has no valid name or value'],
  [{ 'a\0': 'x' }, 'A variable of the job has no valid name or value'],
  [{ a: 'x\0y' }, 'A variable of the job has no valid name or value'],
  [{ a: 'x'.repeat(131_070) }, 'The variables of the job are too long'],
  [
    Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`a${index}`, 'x'.repeat(100_000)])),
    'The variables of the job are too long',
  ],
  [
    Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`a${index}`, ''])),
    'The job has more than 1000 variables',
  ],
])('fails a job that no program could be started with (%#)', (env, why) => {
  expect(() => environmentOf(env, [])).toThrow(why)
  expect(environmentOf({ a: 'x'.repeat(131_069) }, [])).toHaveLength(1)
})
