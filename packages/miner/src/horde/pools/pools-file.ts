/** Reads the YAML file of a miner's pools. It reports all mistakes at once, each with its line. */
import { readFile } from 'node:fs/promises'
import type { EngineAddress } from '@horde/engine/engine-address'
import { ConfigError } from '@horde/kit/config'
import { EXECUTOR_CLASSES, type ExecutorClass } from '@horde/protocol/classes'
import { type Document, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { engineSettings } from '../docker/engine-settings.ts'
import { EXECUTOR_PROGRAMS, ONE_EACH, programMistakes } from '../executor-program.ts'
import type { PoolSettings } from './pool-settings.ts'

/** The setting that names the file. */
const SETTING = 'POOLS_FILE'
/** The most executors of one pool. */
export const MAX_COUNT = 1024

const whole = (min: number, max: number) => z.int(`must be a whole number from ${min} to ${max}`).min(min).max(max)
const text = z.string('must be text').min(1, 'must not be empty')
const scalar = z
  .union([z.string(), z.number(), z.boolean()], 'must be text, a number or a truth value')
  .transform(String)

const pool = z.strictObject({
  name: text.regex(/^[\w.-]{1,64}$/, 'must be letters, digits, "_", "." and "-", 64 at most').optional(),
  class: z.enum(EXECUTOR_CLASSES, `must be one of ${EXECUTOR_CLASSES.join(', ')}`),
  count: whole(0, MAX_COUNT),
  warm: whole(0, MAX_COUNT).default(0),
  manager: text.optional(),
  image: text.optional(),
  program: z.enum(EXECUTOR_PROGRAMS, `must be one of ${EXECUTOR_PROGRAMS.join(', ')}`).optional(),
  folder: text.optional(),
  // Without a default here: a pool that names no engine has the miner's own.
  engine: z.unknown().transform(readEngine).optional(),
  gpus: z.array(scalar.pipe(z.string().regex(/^[\w:.-]+$/, 'must be the ids of GPUs'))).optional(),
  gpus_per_executor: whole(1, 64).optional(),
  environment: z.record(text.regex(/^[A-Z_][A-Z0-9_]*$/i, 'must be names of variables'), scalar).default({}),
  address: text.optional(),
})

function readEngine(given: unknown, context: z.RefinementCtx): EngineAddress | undefined {
  if (given === undefined) return undefined
  const read = engineSettings.safeParse(given)
  if (read.success) return read.data
  for (const { path, message } of read.error.issues) context.addIssue({ code: 'custom', path: [...path], message })
  return z.NEVER
}

const pools = z.strictObject(
  { pools: z.array(pool, 'must be a list').min(1, 'must name at least one pool') },
  'must be a map with pools',
)

type Pool = z.output<typeof pool>
type Mistake = { path: PropertyKey[]; problem: string }

/** The miner's settings that a pool has unless it names its own. */
export type PoolDefaults = Pick<PoolSettings, 'manager' | 'image' | 'program' | 'folder' | 'engine' | 'environment'>

/**
 * Reads the pools of a file.
 *
 * @throws ConfigError with every mistake in the file, or when it cannot be read
 */
export async function readPoolsFile(path: string, defaults: PoolDefaults): Promise<PoolSettings[]> {
  const yaml = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError([{ name: SETTING, problem: `${path} cannot be read (${error.code ?? error.message})` }])
  })
  return parsePools(yaml, path, defaults)
}

/** @throws ConfigError */
export function parsePools(yaml: string, path: string, defaults: PoolDefaults): PoolSettings[] {
  const lines = new LineCounter()
  const document = parseDocument(yaml, { lineCounter: lines, prettyErrors: false })
  const refuse = (mistakes: { line: number; problem: string }[]): never => {
    throw new ConfigError(
      mistakes.map(({ line, problem }) => ({ name: SETTING, problem: `${path}:${line}: ${problem}` })),
    )
  }
  if (document.errors.length > 0) {
    refuse(document.errors.map(({ pos, message }) => ({ line: lines.linePos(pos[0]).line, problem: message })))
  }
  const lineOf = (where: PropertyKey[]): number => {
    for (let length = where.length; length > 0; length -= 1) {
      const node = document.getIn(where.slice(0, length), true) as { range?: [number, number, number] } | undefined
      if (node?.range) return lines.linePos(node.range[0]).line
    }
    return 1
  }
  const located = (mistakes: Mistake[]) => {
    return mistakes.map(({ path: where, problem }) => ({
      line: lineOf(where),
      problem: `${nameOf(where)} ${problem}`.trim(),
    }))
  }
  const read = pools.safeParse(document.toJS({ maxAliasCount: 100 }))
  if (!read.success) return refuse(located(read.error.issues.map(issue => mistakeOf(issue, document))))
  const settings = read.data.pools.map((each, index) => settingsOf(each, nameOfPool(read.data.pools, index), defaults))
  const mistakes = [...mistakesOf(read.data.pools), ...mistakesOfPrograms(settings)]
  return mistakes.length > 0 ? refuse(located(mistakes)) : settings
}

function mistakeOf(issue: z.core.$ZodIssue, document: Document): Mistake {
  const { path } = issue
  if (issue.code === 'unrecognized_keys') {
    return { path: [...path, issue.keys[0] ?? ''], problem: 'is not something that a pool has' }
  }
  const isMissing = path.length > 0 && !document.hasIn(path)
  return { path, problem: isMissing ? 'is missing' : issue.message }
}

/** pools[1].count */
function nameOf(path: PropertyKey[]): string {
  return path
    .map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at > 0 ? '.' : ''}${String(part)}`))
    .join('')
}

/** A pool without a name has the name of its class. */
function nameOfPool(all: readonly Pool[], index: number): string {
  const { name, class: executorClass } = all[index] as Pool
  return name ?? executorClass
}

/** The mistakes that no single value shows. */
function mistakesOf(all: readonly Pool[]): Mistake[] {
  const mistakes: Mistake[] = []
  const names = new Map<string, number>()
  const gpus = new Map<string, number>()
  for (const [index, each] of all.entries()) {
    const name = nameOfPool(all, index)
    const first = names.get(name)
    if (first !== undefined)
      mistakes.push({ path: ['pools', index, 'name'], problem: `is ${name}, as that of pools[${first}]` })
    names.set(name, index)
    if (each.warm > each.count)
      mistakes.push({ path: ['pools', index, 'warm'], problem: `must not be more than count (${each.count})` })
    const sharing = sharingProblem(each)
    if (sharing) mistakes.push({ path: ['pools', index, 'gpus'], problem: sharing })
    for (const [at, gpu] of (each.gpus ?? []).entries()) {
      const key = `${JSON.stringify(each.engine)} ${gpu}`
      const other = gpus.get(key)
      if (other !== undefined)
        mistakes.push({ path: ['pools', index, 'gpus', at], problem: `is ${gpu}, which pools[${other}] has` })
      gpus.set(key, index)
    }
  }
  return mistakes
}

/** The mistakes about the programs of the pools: Python executors cannot do all that a pool may ask for. */
function mistakesOfPrograms(all: readonly PoolSettings[]): Mistake[] {
  const engines = new Map<string, number>()
  return all.flatMap((each, index) => {
    const mistakes: Mistake[] = programMistakes(each).map(({ key, problem }) => ({
      path: ['pools', index, key],
      problem,
    }))
    if (each.program !== 'python-2026' || each.manager !== 'docker') return mistakes
    const engine = JSON.stringify(each.engine)
    const other = engines.get(engine)
    engines.set(engine, index)
    if (other === undefined) return mistakes
    const problem = `has a Python executor on the same engine as pools[${other}], but ${ONE_EACH}`
    return [...mistakes, { path: ['pools', index], problem }]
  })
}

function sharingProblem({ gpus, gpus_per_executor: each, count }: Pool): string | undefined {
  if (gpus === undefined) return each === undefined ? undefined : 'is missing, but gpus_per_executor is there'
  if (count === 0) return undefined
  if (each === undefined) {
    return gpus.length % count === 0 && gpus.length > 0
      ? undefined
      : `has ${gpus.length}, which ${count} executors cannot share evenly; set gpus_per_executor`
  }
  const needed = each * count
  return needed <= gpus.length
    ? undefined
    : `has ${gpus.length}, but ${count} executors with ${each} each need ${needed}`
}

function settingsOf(each: Pool, name: string, defaults: PoolDefaults): PoolSettings {
  const { gpus = [], gpus_per_executor, count } = each
  const share = gpus_per_executor ?? Math.floor(gpus.length / Math.max(1, count))
  return {
    name,
    executorClass: each.class as ExecutorClass,
    count,
    warm: each.warm,
    manager: each.manager ?? defaults.manager,
    image: each.image ?? defaults.image,
    program: each.program ?? defaults.program,
    folder: each.folder ?? defaults.folder,
    engine: each.engine ?? defaults.engine,
    gpus: share === 0 ? [] : Array.from({ length: count }, (_, slot) => gpus.slice(slot * share, (slot + 1) * share)),
    environment: { ...defaults.environment, ...each.environment },
    address: each.address,
  }
}
