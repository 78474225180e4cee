/** The settings of scoring. docs/scoring.md explains how they work together. */
import { defineSettings, envNumber, readSettings, type SettingsOf, setting } from '@horde/kit/config'
import { z } from 'zod'
import { SCORINGS } from '../db/json-columns.ts'
import { DEFAULT_CLASS_WEIGHTS, envClassWeights } from './class-shares.ts'
import type { Scoring } from './job-score.ts'
import type { ScoringRules } from './network-scores.ts'

const HOUR = 3_600
const DAY = 24 * HOUR

/** The settings, with their defaults. */
export const scoringSettings = defineSettings({
  SCORING: setting(z.enum(SCORINGS).default('efficiency'), {
    about: "How a synthetic job's time becomes a score: efficiency, or 2024 on a subnet with v0 validators.",
    example: 'efficiency',
  }),
  EFFICIENCY_EXPONENT: setting(envNumber({ min: 1, max: 3 }).default(1.2), {
    about: 'The exponent of speed in the efficiency score. Above 1, one executor behind two hotkeys earns less.',
    example: '1.2',
  }),
  EFFICIENCY_CAP: setting(envNumber({ min: 1, max: 1_000 }).default(16), {
    about: 'The highest efficiency score of one job. An executor of reference speed scores 1.',
    example: '16',
  }),
  SCORE_WINDOW_SECONDS: setting(envNumber({ min: 60, max: 30 * DAY }).default(DAY), {
    about: 'How long after its start a batch can still be scored, in seconds.',
    example: '86400',
  }),
  CLASS_WEIGHTS: setting(envClassWeights.optional(), {
    about:
      'The weight of each class before demand: class=weight, separated by commas. Other classes get 0. ' +
      'Unset: 1 each, and a millionth for always_on.test.',
    example: 'always_on.gpu-24gb=1,always_on.llm.a6000=2',
  }),
  CLASS_CAPACITY_FLOOR_EXECUTORS: setting(envNumber({ min: 0.01, max: 10_000 }).default(4), {
    about: 'The least capacity demanded of a class, in executors of reference speed; with less, its share is smaller.',
    example: '4',
  }),
  DEMAND_WINDOW_SECONDS: setting(envNumber({ min: HOUR, max: 90 * DAY }).default(7 * DAY), {
    about: "How far back users' jobs count as demand for their class, in seconds.",
    example: '604800',
  }),
  DEMAND_SMOOTHING_SECONDS: setting(envNumber({ min: 0, max: 1e9 }).default(DAY), {
    about: 'Executor-seconds added to the demand of every class. Higher values make demand matter less.',
    example: '86400',
  }),
  DEMAND_FLOOR: setting(envNumber({ min: 0.01, max: 1 }).default(0.5), {
    about: "The smallest factor that demand applies to a class's weight.",
    example: '0.5',
  }),
  DEMAND_CEILING: setting(envNumber({ min: 1, max: 100 }).default(2), {
    about: "The largest factor that demand applies to a class's weight.",
    example: '2',
  }),
})

export type ScoringSettings = SettingsOf<typeof scoringSettings>

/** Returns how synthetic jobs are scored. */
export function scoringOf(settings: ScoringSettings): Scoring {
  if (settings.SCORING === '2024') return { name: '2024' }
  return { name: 'efficiency', exponent: settings.EFFICIENCY_EXPONENT, cap: settings.EFFICIENCY_CAP }
}

/** Returns a scoring with the default settings. */
export function scoringNamed(SCORING: Scoring['name']): Scoring {
  return scoringOf({ ...readSettings(scoringSettings, {}), SCORING })
}

/** Returns the rules by which scores become weights. */
export function scoringRulesOf(settings: ScoringSettings): ScoringRules {
  return {
    windowSeconds: settings.SCORE_WINDOW_SECONDS,
    classWeights: settings.CLASS_WEIGHTS ?? DEFAULT_CLASS_WEIGHTS,
    capacityFloor: settings.CLASS_CAPACITY_FLOOR_EXECUTORS,
    demand: {
      windowSeconds: settings.DEMAND_WINDOW_SECONDS,
      smoothingSeconds: settings.DEMAND_SMOOTHING_SECONDS,
      floor: settings.DEMAND_FLOOR,
      ceiling: settings.DEMAND_CEILING,
    },
  }
}

/** The rules of the default settings. */
export const DEFAULT_SCORING_RULES: ScoringRules = scoringRulesOf(readSettings(scoringSettings, {}))
