/** The settings of scoring. docs/scoring.md says what they do together. */
import { defineSettings, envNumber, readSettings, type SettingsOf, setting } from '@horde/kit/config'
import { z } from 'zod'
import { SCORINGS } from '../db/schema.ts'
import { DEFAULT_CLASS_WEIGHTS, envClassWeights } from './class-weights.ts'
import type { Scoring } from './job-score.ts'
import type { ScoringRules } from './network-scores.ts'

const HOUR = 3_600
const DAY = 24 * HOUR

export const scoringSettings = defineSettings({
  SCORING: setting(z.enum(SCORINGS).default('efficiency'), {
    about:
      'How the time of a synthetic job becomes a score: efficiency, or 2024 for a validator that runs beside Python ones.',
    example: 'efficiency',
  }),
  EFFICIENCY_EXPONENT: setting(envNumber({ min: 1, max: 3 }).default(1.2), {
    about:
      'The power of a speed that is its score, by efficiency: above 1, one executor behind two hotkeys earns less.',
    example: '1.2',
  }),
  EFFICIENCY_CAP: setting(envNumber({ min: 1, max: 1_000 }).default(16), {
    about: 'The most that one job can score by efficiency; an executor of reference speed scores 1.',
    example: '16',
  }),
  SCORE_WINDOW_SECONDS: setting(envNumber({ min: 60, max: 30 * DAY }).default(DAY), {
    about: 'How long after its start a batch that no weights were made of yet still counts, in seconds.',
    example: '86400',
  }),
  CLASS_WEIGHTS: setting(envClassWeights.optional(), {
    about:
      'What each class is worth beside the others, before demand: class=weight, separated by commas; one that is not named is worth nothing. Unset: all the same, but always_on.test a millionth of it.',
    example: 'always_on.gpu-24gb=1,always_on.llm.a6000=2',
  }),
  CLASS_CAPACITY_FLOOR_EXECUTORS: setting(envNumber({ min: 0.01, max: 10_000 }).default(4), {
    about: "How many executors of reference speed a class's whole share is for at least, however little users ask.",
    example: '4',
  }),
  DEMAND_WINDOW_SECONDS: setting(envNumber({ min: HOUR, max: 90 * DAY }).default(7 * DAY), {
    about: "How far back users' jobs count as demand for their class, in seconds.",
    example: '604800',
  }),
  DEMAND_SMOOTHING_SECONDS: setting(envNumber({ min: 0, max: 1e9 }).default(DAY), {
    about: 'The executor-seconds that every class counts as asked for beyond what was; more makes demand matter later.',
    example: '86400',
  }),
  DEMAND_FLOOR: setting(envNumber({ min: 0.01, max: 1 }).default(0.5), {
    about: "The least that demand multiplies a class's weight by.",
    example: '0.5',
  }),
  DEMAND_CEILING: setting(envNumber({ min: 1, max: 100 }).default(2), {
    about: "The most that demand multiplies a class's weight by.",
    example: '2',
  }),
})

export type ScoringSettings = SettingsOf<typeof scoringSettings>

/** How synthetic jobs are scored. */
export function scoringOf(settings: ScoringSettings): Scoring {
  if (settings.SCORING === '2024') return { name: '2024' }
  return { name: 'efficiency', exponent: settings.EFFICIENCY_EXPONENT, cap: settings.EFFICIENCY_CAP }
}

/** A scoring as settings that are left alone have it. */
export function scoringNamed(SCORING: Scoring['name']): Scoring {
  return scoringOf({ ...readSettings(scoringSettings, {}), SCORING })
}

/** How scores become parts of the weights. */
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

/** Those of settings that are left alone. */
export const DEFAULT_SCORING_RULES: ScoringRules = scoringRulesOf(readSettings(scoringSettings, {}))
