import { EXECUTOR_CLASSES, type ExecutorClass, isExecutorClass } from '@horde/protocol/classes'
import { z } from 'zod'

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
