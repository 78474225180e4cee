/**
 * Rules of the house that no linter knows (docs/architecture.md): how many sources a folder holds, what sources may
 * import, and who may move a job.
 */
import { dirname } from 'node:path'
import { JOB_STATES } from '@horde/protocol/job-state'
import type { Argument, CallExpression, ObjectExpression } from 'oxc-parser'
import { parseSync, Visitor } from 'oxc-parser'

/** Sources that one folder may hold, tests not counted. */
const FOLDER_SOURCES = 10

/** The packages whose jobs have states. */
const SERVICES = /^packages\/(validator|miner|executor|facilitator)\/src\//
/** The only files that write a job's state. */
const TRANSITION = /\/transition\.ts$/
const TEST = /\.test\.ts$/
/** What tests and benchmarks alone may import. */
const BESIDE = /^@horde\/testing(\/|$)|(^|\/)(bench|test|e2e|matrix|peers)\//

/** A place that breaks a rule. `line` counts from 1; it is missing for a folder. */
export type Fault = { file: string; line?: number; rule: string }

/** Source files by their path from the repository's root, with "/" between folders. */
export type Sources = ReadonlyMap<string, string>

/** Returns every place in `sources` that breaks a rule of the house. */
export function findFaults(sources: Sources): Fault[] {
  const own = [...sources].filter(([file]) => /^packages\/[^/]+\/src\//.test(file) && !TEST.test(file))
  return [...crowdedFolders(own.map(([file]) => file)), ...own.flatMap(([file, text]) => faultsIn(file, text))]
}

function crowdedFolders(files: string[]): Fault[] {
  const byFolder = Map.groupBy(files, dirname)
  return [...byFolder].flatMap(([folder, { length }]) =>
    length > FOLDER_SOURCES
      ? [{ file: folder, rule: `holds ${length} source files, at most ${FOLDER_SOURCES} are allowed: give them rooms` }]
      : [],
  )
}

function faultsIn(file: string, text: string): Fault[] {
  const { program, module } = parseSync(file, text)
  const faults: Fault[] = []
  const report = (start: number, rule: string) => {
    const line = lineAt(text, start)
    if (!faults.some(fault => fault.line === line && fault.rule === rule)) faults.push({ file, line, rule })
  }

  const imports = [
    ...module.staticImports.map(({ moduleRequest }) => ({ name: moduleRequest.value, start: moduleRequest.start })),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) => ({
      name: text.slice(start + 1, end - 1),
      start,
    })),
  ]
  if (!/^packages\/(testing|deploy)\//.test(file)) {
    for (const { name, start } of imports) {
      if (BESIDE.test(name)) report(start, `imports ${name}, which only tests and benchmarks may`)
    }
  }

  if (!SERVICES.test(file) || TRANSITION.test(file)) return faults
  const rule = "writes a job's state: only transition.ts may"
  const writesJobs = /\.(update|insert)\(jobs\)/.test(text)
  new Visitor({
    AssignmentExpression({ left, start }) {
      if (left.type === 'MemberExpression' && 'name' in left.property && left.property.name === 'state') {
        report(start, rule)
      }
    },
    CallExpression(call) {
      if (!isWrite(call, writesJobs)) return
      for (const object of call.arguments.filter(isObject)) {
        const state = object.properties.find(isState)
        if (state) report(state.start, rule)
      }
    },
    ObjectExpression(object) {
      const state = object.properties.find(isState)
      if (state && isJobState(state)) report(state.start, rule)
    },
    TemplateLiteral({ quasis, start }) {
      if (quasis.some(({ value }) => /\bset\s+"?state"?\s*=/i.test(value.raw))) report(start, rule)
    },
  }).visit(program)
  return faults
}

type Property = ObjectExpression['properties'][number]

function isObject(argument: Argument): argument is ObjectExpression {
  return argument.type === 'ObjectExpression'
}

/** Whether a call stores what its arguments hold: `Object.assign(…)`, or `set` and `values` of the table of jobs. */
function isWrite({ callee }: CallExpression, writesJobs: boolean): boolean {
  if (callee.type !== 'MemberExpression' || !('name' in callee.property)) return false
  const { name } = callee.property
  if (name === 'assign') return callee.object.type === 'Identifier' && callee.object.name === 'Object'
  return writesJobs && (name === 'set' || name === 'values')
}

function isState(property: Property): boolean {
  return property.type === 'Property' && property.key.type === 'Identifier' && property.key.name === 'state'
}

/** Whether a property's value is a job's state written down: `'offered'`, `'offered' as const` or `FIRST_STATE`. */
function isJobState(property: Property): boolean {
  if (property.type !== 'Property') return false
  const value = property.value.type === 'TSAsExpression' ? property.value.expression : property.value
  if (value.type === 'Identifier') return value.name === 'FIRST_STATE'
  return value.type === 'Literal' && (JOB_STATES as readonly unknown[]).includes(value.value)
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
