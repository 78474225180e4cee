import { randomUUID } from 'node:crypto'
import { type OpenDatabase, openDatabase } from '@horde/kit/database'
import { isFinal, type JobState } from '@horde/protocol/job-state'
import { startPostgres } from '@horde/testing/postgres'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { insertJob, lastEnds, lastJobs } from '../../src/db/jobs.ts'
import { jobs } from '../../src/db/schema.ts'
import { migrationsFolder } from '../harness.ts'

const ENGINES = {
  pglite: async () => ({ url: 'pglite://memory', [Symbol.asyncDispose]: async () => {} }),
  postgres: startPostgres,
}

describe.each(Object.entries(ENGINES))('jobs as lists on %s', (_engine, start) => {
  let stack: AsyncDisposableStack
  let database: OpenDatabase
  beforeAll(async () => {
    stack = new AsyncDisposableStack()
    const { url } = stack.use(await start())
    database = stack.use(await openDatabase({ url, migrationsFolder }))
  })
  afterAll(() => stack.disposeAsync())
  beforeEach(async () => void (await database.db.delete(jobs)))

  /** A job that was offered at some second, and, if it has ended, ended at once or later. */
  async function add(state: JobState, second: number, endedSecond = second): Promise<string> {
    const uuid = randomUUID()
    const fields = {
      validator: '5Validator',
      uuid,
      executorClass: 'always_on.test',
      imageName: 'img',
      timeoutSeconds: 9,
    }
    const more = { volumeType: 'inline', executorToken: randomUUID(), place: null, state }
    const row = await insertJob(database.db, { ...fields, ...more }, new Date(second * 1000))
    const endedAt = isFinal(state) ? new Date(endedSecond * 1000) : null
    const result = { exitStatus: 0, stdout: 'long', stderr: '' }
    await database.db
      .update(jobs)
      .set({ endedAt, result })
      .where(eq(jobs.id, row?.id ?? 0))
    return uuid
  }

  it('lists the last jobs, of all or of some states, without their outputs', async () => {
    const { db } = database
    const [first, second, third] = [await add('finished', 1), await add('running', 2), await add('rejected', 3)]
    expect((await lastJobs(db, 10)).map(({ uuid }) => uuid)).toEqual([third, second, first])
    expect((await lastJobs(db, 1)).map(({ uuid }) => uuid)).toEqual([third])
    expect((await lastJobs(db, 10, ['finished', 'running'])).map(({ uuid }) => uuid)).toEqual([second, first])
    const [job] = await lastJobs(db, 1, ['finished'])
    expect(Object.keys(job ?? {})).not.toEqual(expect.arrayContaining(['result']))
    expect(Object.keys(job ?? {})).not.toEqual(expect.arrayContaining(['executorToken']))
  })

  it('lists the last ends by their time, without declined offers', async () => {
    const long = await add('failed', 10, 90)
    const [short, declined] = [await add('finished', 20, 30), await add('rejected', 95)]
    const ends = (await lastEnds(database.db, 2)).map(({ uuid }) => uuid)
    expect(ends).toEqual([long, short])
    expect((await lastEnds(database.db, 100)).map(({ uuid }) => uuid)).not.toContain(declined)
  })
})
