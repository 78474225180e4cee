/** The share of the weights that each class gets: by the operator's table, by demand, and by capacity. */
import { EXECUTOR_CLASSES, type ExecutorClass, isExecutorClass } from '@horde/protocol/classes'
import { z } from 'zod'
import type { RequestedWork } from '../db/scores.ts'

/** The weight of each class. A class that is not listed has weight 0. */
export type ClassWeights = ReadonlyMap<string, number>

/** The smallest and the largest weight that a table may have, apart from 0. */
const LEAST_WEIGHT = 1e-9
const LARGEST_WEIGHT = 1e6

/**
 * The weight of the class for test executors, which need no GPU. It rounds to nothing beside any other class, but a
 * network with only test executors still gets weights by their scores.
 */
const TEST_CLASS_WEIGHT = 1e-6

/** The same weight for every class, except for the one for test executors. */
export const DEFAULT_CLASS_WEIGHTS: ClassWeights = new Map(
  EXECUTOR_CLASSES.map(name => [name, name === 'always_on.test' ? TEST_CLASS_WEIGHT : 1]),
)

/** Parses an operator's table in a setting: `always_on.gpu-24gb=1,always_on.llm.a6000=2`. */
export const envClassWeights = z.string().transform((text, context): ClassWeights => {
  const weights = new Map<ExecutorClass, number>()
  const entries = text.split(',').filter(entry => entry.trim() !== '')
  for (const entry of entries) {
    const problem = addEntry(weights, entry)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  }
  if (context.issues.length === 0 && ![...weights.values()].some(weight => weight > 0)) {
    context.addIssue({ code: 'custom', message: 'gives no class a weight above 0' })
  }
  return weights
})

/** Adds `class=weight` to the table, or returns what is wrong with the entry. */
function addEntry(weights: Map<ExecutorClass, number>, entry: string): string | undefined {
  const [name = '', number, more] = entry.split('=').map(part => part.trim())
  if (number === undefined || more !== undefined) return `has "${entry.trim()}", which is not class=weight`
  if (!isExecutorClass(name)) return `names the class "${name}", which is not one of ${EXECUTOR_CLASSES.join(', ')}`
  if (weights.has(name)) return `names ${name} twice`
  const weight = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(number) ? Number(number) : Number.NaN
  if (!(weight === 0 || (weight >= LEAST_WEIGHT && weight <= LARGEST_WEIGHT))) {
    const range = `neither 0 nor a number from ${LEAST_WEIGHT} to ${LARGEST_WEIGHT}`
    return `gives ${name} the weight "${number}", which is ${range}`
  }
  weights.set(name, weight)
  return undefined
}

/** How demand changes the weights of classes. */
export interface DemandRules {
  /** How far back users' jobs count, in seconds. */
  windowSeconds: number
  /** Executor-seconds that are added to the demand of every class; 0 or more. */
  smoothingSeconds: number
  /** The smallest and the largest demand factor. The floor is above 0 and at most 1, the ceiling at least 1. */
  floor: number
  ceiling: number
}

/**
 * Returns the executor-seconds that users requested. A job that was turned away counts as the mean of the jobs that
 * ran. All jobs turned away together count at most as much as those that ran, because being turned away costs a user
 * nothing.
 */
export function requestedSeconds({ executorSeconds, ran, turnedAway }: RequestedWork): number {
  if (ran === 0) return 0
  return executorSeconds + Math.min(executorSeconds, (turnedAway * executorSeconds) / ran)
}

/**
 * Returns the factor by which demand changes each class's weight. It is 1 for a class with the mean demand, and 1 for
 * all classes if users requested nothing.
 *
 * @param seconds the requested executor-seconds of each class with a weight
 */
export function demandFactors(seconds: ReadonlyMap<string, number>, rules: DemandRules): Map<string, number> {
  const smoothed = [...seconds].map(([name, requested]) => [name, requested + rules.smoothingSeconds] as const)
  const mean = smoothed.reduce((sum, [, each]) => sum + each, 0) / smoothed.length
  const factor = (each: number) => (mean > 0 ? Math.min(rules.ceiling, Math.max(rules.floor, each / mean)) : 1)
  return new Map(smoothed.map(([name, each]) => [name, factor(each)]))
}

/** A class's weight, and how much of its demand its miners can serve. */
export interface ClassCapacity {
  name: string
  /** The operator's weight times the demand factor; 0 or more. */
  weight: number
  /** Measured capacity, in executors of reference speed. */
  offered: number
  /** Demanded capacity, in executors of reference speed; above 0. */
  demanded: number
}

/**
 * Computes each class's share of a validator's weights. The shares sum to 1, or to 0 if no class with a weight has any
 * capacity.
 *
 * A class's base share is its part of the sum of all weights. If a class offers less than is demanded, its share
 * shrinks by the same ratio, and the rest goes to the other classes in proportion to their weights. A class that offers
 * three times what is demanded can get at most three times its base share. If all classes together cannot take
 * everything, shares are in proportion to weight · offered / demanded.
 *
 * As a formula: share = base share · min(level, offered / demanded), with the level, at least 1, at which the shares
 * sum to 1. The formula is continuous, so no class or miner ever loses by offering more (docs/scoring.md).
 */
export function classShares(classes: readonly ClassCapacity[]): Map<string, number> {
  const totalWeight = classes.reduce((sum, { weight }) => sum + weight, 0)
  const shortestFirst = classes
    .filter(({ weight, offered }) => weight > 0 && offered > 0)
    .map(({ name, weight, offered, demanded }) => ({ name, base: weight / totalWeight, ratio: offered / demanded }))
    .sort((a, b) => a.ratio - b.ratio)
  const shares = new Map(classes.map(({ name }) => [name, 0]))
  const room = shortestFirst.reduce((sum, { base, ratio }) => sum + base * ratio, 0)
  if (room <= 1) {
    for (const { name, base, ratio } of shortestFirst) shares.set(name, room > 0 ? (base * ratio) / room : 0)
    return shares
  }
  let left = 1
  for (const [i, { name, base, ratio }] of shortestFirst.entries()) {
    const baseLeft = shortestFirst.slice(i).reduce((sum, each) => sum + each.base, 0)
    // Only rounding could make the level fall below 1.
    const share = base * Math.min(ratio, Math.max(1, left / baseLeft))
    shares.set(name, share)
    left = Math.max(0, left - share)
  }
  return shares
}
