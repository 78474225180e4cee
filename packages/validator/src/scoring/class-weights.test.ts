import { describe, expect, it } from 'vitest'
import { DEFAULT_CLASS_WEIGHTS, envClassWeights } from './class-shares.ts'

describe('envClassWeights', () => {
  it.each([
    ['always_on.gpu-24gb=1', [['always_on.gpu-24gb', 1]]],
    [
      ' always_on.llm.a6000 = 2.5 , always_on.test=0,',
      [
        ['always_on.llm.a6000', 2.5],
        ['always_on.test', 0],
      ],
    ],
    [
      'always_on.gpu-24gb=1e-9,always_on.test=1e6',
      [
        ['always_on.gpu-24gb', 1e-9],
        ['always_on.test', 1e6],
      ],
    ],
  ])('parses %j', (text, entries) => {
    expect([...envClassWeights.parse(text)]).toEqual(entries)
  })

  it.each([
    ['always_on.gpu-24gb', 'has "always_on.gpu-24gb", which is not class=weight'],
    ['always_on.gpu-24gb=1=2', 'has "always_on.gpu-24gb=1=2", which is not class=weight'],
    ['gpu=1', 'names the class "gpu", which is not one of always_on.gpu-24gb, spin_up-4min.gpu-24gb'],
    ['always_on.test=1,always_on.test=2', 'names always_on.test twice'],
    ['always_on.test=-1', 'gives always_on.test the weight "-1", which is neither 0 nor a number from 1e-9 to 1000000'],
    ['always_on.test=much', 'gives always_on.test the weight "much"'],
    ['always_on.test=', 'gives always_on.test the weight ""'],
    ['always_on.test=1e-10', 'gives always_on.test the weight "1e-10"'],
    ['always_on.test=1e7', 'gives always_on.test the weight "1e7"'],
    ['always_on.test=0,always_on.gpu-24gb=0', 'gives no class a weight above 0'],
    [',', 'gives no class a weight above 0'],
  ])('explains what is wrong with %j', (text, problem) => {
    const result = envClassWeights.safeParse(text)
    expect(result.error?.issues.map(({ message }) => message)).toEqual([expect.stringContaining(problem)])
  })

  it('lists all mistakes at once', () => {
    expect(envClassWeights.safeParse('a=1,b=2').error?.issues).toHaveLength(2)
  })

  it('defaults to the same weight for all classes except the one for test executors', () => {
    expect([...DEFAULT_CLASS_WEIGHTS].filter(([, weight]) => weight !== 1)).toEqual([['always_on.test', 1e-6]])
  })
})
