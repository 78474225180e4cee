import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import type { Work } from '../db/json-columns.ts'
import type { Benchmark, Judgement } from './benchmark.ts'
import { type EchoSettings, echoBenchmark } from './echo.ts'
import { type Algorithm, hashcatBenchmark } from './hashcat.ts'
import { hashcatListBenchmark } from './hashcat-list.ts'

/** Which benchmark to load, and its settings. */
export interface BenchmarkSettings {
  /** `hashcat`, `echo`, or the path of a module. */
  benchmark: string
  /** `knownLength`: a job has a list of passwords instead of one. */
  hashcat: { image: string; algorithms: readonly [Algorithm, ...Algorithm[]]; knownLength: boolean }
  echo: EchoSettings
}

/** A benchmark cannot be loaded, or returned something invalid. The message says what is wrong and where. */
export class BenchmarkError extends Error {
  override readonly name = 'BenchmarkError'
}

const moduleShape = z.object({
  name: z.string().min(1).max(100),
  prepare: z.custom<Benchmark['prepare']>(value => typeof value === 'function', 'must be a function'),
  verify: z.custom<Benchmark['verify']>(value => typeof value === 'function', 'must be a function'),
})

const workShape: z.ZodType<Work> = z.object({
  label: z.string().min(1).max(100),
  image: z.string().min(1),
  command: z.array(z.string()),
  input: z.base64().optional(),
  timeoutSeconds: z.number().positive().max(86_400),
  referenceSeconds: z.number().positive().max(86_400),
  challenge: z.record(z.string(), z.json()),
})

const judgementShape: z.ZodType<Judgement> = z.object({ score: z.number().min(0).max(1), comment: z.string() })

/**
 * Loads the benchmark that the settings name.
 *
 * @throws BenchmarkError when an operator's own module cannot be loaded or is not a benchmark
 */
export async function loadBenchmark({ benchmark, hashcat, echo }: BenchmarkSettings): Promise<Benchmark> {
  if (benchmark === 'hashcat') {
    const make = hashcat.knownLength ? hashcatListBenchmark : hashcatBenchmark
    return make(hashcat.algorithms, hashcat.image)
  }
  if (benchmark === 'echo') return echoBenchmark(echo)
  return loadModule(resolve(benchmark))
}

async function loadModule(path: string): Promise<Benchmark> {
  const module = await importOf(path)
  const parsed = moduleShape.safeParse(module.default)
  if (!parsed.success) {
    throw new BenchmarkError(`the default export of ${path} is not a benchmark: ${describeIssues(parsed.error)}`)
  }
  // Calls the methods on the exported object itself, which may be an instance of a class.
  const own = module.default as Benchmark
  return {
    name: parsed.data.name,
    prepare: async batchStartMs => checked(workShape, await own.prepare(batchStartMs), `prepare of ${path}`),
    verify: (challenge, answer) => checked(judgementShape, own.verify(challenge, answer), `verify of ${path}`),
  }
}

async function importOf(path: string): Promise<{ default?: unknown }> {
  try {
    await access(path)
    return await import(pathToFileURL(path).href)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new BenchmarkError(`cannot load the benchmark ${path}: ${why}`, { cause })
  }
}

/** Returns a module's value if it has the right shape. @throws BenchmarkError */
function checked<T>(shape: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = shape.safeParse(value)
  if (!parsed.success) throw new BenchmarkError(`${where} returned an invalid value: ${describeIssues(parsed.error)}`)
  return parsed.data
}

function describeIssues(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`).join('; ')
}
