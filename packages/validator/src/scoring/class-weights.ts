import { EXECUTOR_CLASSES, type ExecutorClass, isExecutorClass } from '@horde/protocol/classes'
import { z } from 'zod'

/** What each class is worth beside the others; a class that is not in it is worth nothing. */
export type ClassWeights = ReadonlyMap<string, number>

/** The least and the largest weight that a table may give, but for 0. */
const LEAST_WEIGHT = 1e-9
const LARGEST_WEIGHT = 1e6

/**
 * For executors that anybody can have. So little that it earns nothing beside any class with real executors, and yet a
 * horde that has nothing else is weighted by what it does.
 */
const TEST_CLASS_WEIGHT = 1e-6

/** Every class the same, but for the one for tests. */
export const DEFAULT_CLASS_WEIGHTS: ClassWeights = new Map(
  EXECUTOR_CLASSES.map(name => [name, name === 'always_on.test' ? TEST_CLASS_WEIGHT : 1]),
)

/** An operator's table as it stands in a setting: `always_on.gpu-24gb=1,always_on.llm.a6000=2`. */
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

/** Adds `class=weight` to the table; says what is wrong with it instead. */
function addEntry(weights: Map<ExecutorClass, number>, entry: string): string | undefined {
  const [name = '', number, more] = entry.split('=').map(part => part.trim())
  if (number === undefined || more !== undefined) return `has "${entry.trim()}", which is not class=weight`
  if (!isExecutorClass(name)) return `names the class "${name}", which is none of ${EXECUTOR_CLASSES.join(', ')}`
  if (weights.has(name)) return `names ${name} twice`
  const weight = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(number) ? Number(number) : Number.NaN
  if (!(weight === 0 || (weight >= LEAST_WEIGHT && weight <= LARGEST_WEIGHT))) {
    return `gives ${name} the weight "${number}", which is neither 0 nor a number from ${LEAST_WEIGHT} to ${LARGEST_WEIGHT}`
  }
  weights.set(name, weight)
  return undefined
}
