import { describe, expect, it } from 'vitest'
import { findFaults } from './house-rules.ts'

const FILE = 'packages/miner/src/jobs/obtain-executor.ts'

function faultsOf(text: string, file = FILE): string[] {
  return findFaults(new Map([[file, text]])).map(({ line, rule }) => `${line}: ${rule}`)
}

const WRITES = "writes a job's state: only transition.ts may"

describe('who may move a job', () => {
  it.each([
    ['an update', 'db.update(jobs).set({ state: to }).where(eq(jobs.uuid, uuid))'],
    ['an insert', 'db.insert(jobs).values({ ...job, state })'],
    ['an assignment', 'job.state = next'],
    ['an assignment to a private field', 'class Job { #state = 1; move() { this.#state = 2 } }'],
    ['an assignment of many fields', 'Object.assign(job, { state: next, reason })'],
    ['a literal', "const row = { ...job, state: 'rejected' }"],
    ['a literal held constant', "const row = { ...job, state: 'rejected' as const }"],
    ['the first state by its name', 'const row = { ...job, state: FIRST_STATE }'],
    ['SQL', "db.execute(sql`update jobs set state = 'broken'`)"],
  ])('refuses %s outside transition.ts', (_, text) => {
    expect(faultsOf(text)).toEqual([`1: ${WRITES}`])
  })

  it('names the line, and each line once', () => {
    expect(faultsOf("// first\ndb.update(jobs).set({ state: 'broken' })")).toEqual([`2: ${WRITES}`])
  })

  it.each([
    ['a read', "db.select({ state: jobs.state }).from(jobs).where(eq(jobs.state, 'offered'))"],
    ['the state of something else', "db.update(weightSettings).set({ state: 'committed' })"],
    ['a comparison', "if (job.state === 'running') stop()"],
  ])('allows %s', (_, text) => {
    expect(faultsOf(text)).toEqual([])
  })

  it('allows transition.ts to write', () => {
    expect(faultsOf('db.update(jobs).set({ state: to })', 'packages/miner/src/jobs/transition.ts')).toEqual([])
  })
})

describe('what sources may import', () => {
  it.each([
    "import { limits } from '@horde/testing/limits'",
    "import type { Peer } from '../../test/peer.ts'",
    "const { run } = await import('../../../bench/run.ts')",
  ])('refuses %s', text => {
    expect(faultsOf(text)).toEqual([expect.stringMatching(/^1: imports .* only tests and benchmarks may$/)])
  })

  it('allows tests to import what is for tests', () => {
    expect(faultsOf("import { limits } from '@horde/testing/limits'", 'packages/miner/src/pool.test.ts')).toEqual([])
  })
})

describe('how many sources a folder holds', () => {
  const folderOf = (count: number) =>
    findFaults(new Map(Array.from({ length: count }, (_, i) => [`packages/kit/src/log/file-${i}.ts`, ''])))

  it('allows ten', () => {
    expect(folderOf(10)).toEqual([])
  })

  it('refuses eleven and names the folder', () => {
    expect(folderOf(11)).toEqual([{ file: 'packages/kit/src/log', rule: expect.stringContaining('11 source files') }])
  })
})
