import { readSettings } from '@horde/kit/config'
import { describe, expect, it } from 'vitest'
import { DEFAULT_CLASS_WEIGHTS } from './class-shares.ts'
import { DEFAULT_SCORING_RULES, scoringOf, scoringRulesOf, scoringSettings } from './settings.ts'

const read = (env: Record<string, string>) => readSettings(scoringSettings, env)

describe('scoringSettings', () => {
  it('default to efficiency, one day, and the same weight for all classes', () => {
    expect(scoringOf(read({}))).toEqual({ name: 'efficiency', exponent: 1.2, cap: 16 })
    expect(DEFAULT_SCORING_RULES).toEqual({
      ...{ windowSeconds: 86_400, classWeights: DEFAULT_CLASS_WEIGHTS, capacityFloor: 4 },
      demand: { windowSeconds: 604_800, smoothingSeconds: 86_400, floor: 0.5, ceiling: 2 },
    })
  })

  it('use the operator’s values', () => {
    const settings = read({
      ...{ SCORING: '2024', SCORE_WINDOW_SECONDS: '3600', CLASS_WEIGHTS: 'always_on.gpu-24gb=2' },
      ...{ CLASS_CAPACITY_FLOOR_EXECUTORS: '0.5', DEMAND_WINDOW_SECONDS: '7200', DEMAND_SMOOTHING_SECONDS: '0' },
      ...{ DEMAND_FLOOR: '1', DEMAND_CEILING: '1' },
    })
    expect(scoringOf(settings)).toEqual({ name: '2024' })
    expect(scoringRulesOf(settings)).toEqual({
      ...{ windowSeconds: 3_600, classWeights: new Map([['always_on.gpu-24gb', 2]]), capacityFloor: 0.5 },
      demand: { windowSeconds: 7_200, smoothingSeconds: 0, floor: 1, ceiling: 1 },
    })
  })

  it.each([
    ['SCORING', '2023', 'SCORING'],
    ['DEMAND_FLOOR', '0', 'DEMAND_FLOOR: must be a number from 0.01 to 1'],
    ['EFFICIENCY_EXPONENT', '0.5', 'EFFICIENCY_EXPONENT: must be a number from 1 to 3'],
    ['CLASS_WEIGHTS', 'gpu=1', 'CLASS_WEIGHTS: names the class "gpu", which is not one of always_on.gpu-24gb'],
  ])('refuse %s=%s', (name, value, words) => {
    expect(() => read({ [name]: value })).toThrow(words)
  })
})
