import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type OpenDatabase, openDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import type { JobWork } from '@horde/protocol/job/request'
import { NO_UPLOADS } from '@horde/protocol/job/uploads'
import type { JobEvent } from '@horde/protocol/job-state'
import { startPostgres } from '@horde/testing/postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  findJob,
  insertJob,
  markDelivered,
  type NewJob,
  openJobs,
  undeliveredJob,
  undeliveredJobs,
  updateJob,
  workOf,
} from '../../src/db/jobs.ts'
import { type Change, StoredJob, type TransitionDeps, transition } from '../../src/jobs/transition.ts'

const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))
const AT = new Date('2026-01-02T03:04:05Z')
const LONG_AGO = new Date(0)

const ENGINES = {
  pglite: async () => ({ url: 'pglite://memory', [Symbol.asyncDispose]: async () => {} }),
  postgres: startPostgres,
}

describe.each(Object.entries(ENGINES))('jobs on %s', (_engine, start) => {
  let stack: AsyncDisposableStack
  let database: OpenDatabase
  beforeAll(async () => {
    stack = new AsyncDisposableStack()
    const { url } = stack.use(await start())
    database = stack.use(await openDatabase({ url, migrationsFolder }))
  })
  afterAll(() => stack.disposeAsync())

  const job = (changes: Partial<NewJob> = {}): NewJob => ({
    validator: '5Validator',
    uuid: randomUUID(),
    executorClass: 'always_on.test',
    imageName: 'img',
    timeoutSeconds: 9,
    volumeType: 'inline',
    executorToken: randomUUID(),
    place: 'pool/0',
    state: 'offered',
    ...changes,
  })

  const store = async (changes: Partial<NewJob> = {}): Promise<StoredJob> => {
    const row = await insertJob(database.db, job(changes), AT)
    if (!row) throw new Error('the job is stored already')
    return new StoredJob(row)
  }
  const deps = (): TransitionDeps => {
    const counters = { moved: () => {}, declined: () => {} }
    return { db: database.db, counters, clock: manualClock(AT.getTime()), log: silentLog }
  }
  const move = async (stored: StoredJob, event: JobEvent, change: Change = {}) => {
    return (await transition(stored, event, change, deps())).outcome
  }
  const moveAlong = async (stored: StoredJob, ...events: JobEvent[]) => {
    for (const event of events) expect(await move(stored, event)).toBe('moved')
  }

  it('takes one uuid of one validator for one job, in any case; of two validators for two', async () => {
    const { db } = database
    const first = job({ uuid: randomUUID().toUpperCase() })
    const row = await insertJob(db, first, AT)
    expect(row).toMatchObject({ ...first, offeredAt: AT, endedAt: null, deliveredAt: null })
    expect(await insertJob(db, { ...first, uuid: first.uuid.toLowerCase() }, AT)).toBeUndefined()
    expect(await insertJob(db, { ...first, validator: '5Other' }, AT)).toBeDefined()
    expect(await findJob(db, '5Validator', first.uuid.toLowerCase())).toEqual(row)
  })

  it('moves a job once, and stores any text', async () => {
    const { db } = database
    const stored = await store()
    const { uuid } = stored
    const result = { exitStatus: 0, stdout: 'NUL \u0000, half a pair \ud800, \u{1f600}', stderr: '"\\' }
    await moveAlong(stored, 'accept', 'ready', 'work')
    const other = new StoredJob(stored.row)
    const outcomes = await Promise.all([move(stored, 'finish', { result }), move(other, 'timed out')])
    expect(outcomes.toSorted()).toEqual(['dropped', 'moved'])
    const row = await findJob(db, '5Validator', uuid)
    expect([row?.readyAt, row?.startedAt, row?.endedAt]).toEqual([AT, AT, AT])
    const winner = outcomes[0] === 'moved' ? stored : other
    expect(row).toEqual(winner.row)
    if (winner === stored) expect(row?.result).toEqual(result)
  })

  it('drops a job that another process has moved, however little', async () => {
    const stored = await store()
    const other = new StoredJob(stored.row)
    await moveAlong(other, 'accept')
    expect(await move(stored, 'timed out')).toBe('dropped')
    expect([stored.isDropped, stored.state]).toEqual([true, 'offered'])
    expect(await findJob(database.db, '5Validator', stored.uuid)).toMatchObject({ state: 'accepted', reason: null })
  })

  it('moves nothing by a repeated message, or after the end', async () => {
    const stored = await store()
    await moveAlong(stored, 'accept')
    expect(await move(stored, 'accept')).toBe('unchanged')
    await moveAlong(stored, 'stopped')
    expect(await move(stored, 'ready')).toBe('unchanged')
  })

  it('takes the update of a retry for done when the database had committed it and its answer was lost', async () => {
    const { db } = database
    const { id } = await store()
    const update = { state: 'broken', reason: 'stopped', result: null, work: null, endedAt: AT } as const
    expect(await updateJob(db, id, 'offered', update)).toBe(true)
    expect(await updateJob(db, id, 'offered', update)).toBe(false)
    expect(await updateJob(db, id, 'offered', update, true)).toBe(true)
    const later = { ...update, endedAt: new Date(AT.getTime() + 1) }
    expect(await updateJob(db, id, 'offered', later, true), 'of another process').toBe(false)
  })

  it('keeps an end undelivered until it is delivered', async () => {
    const { db } = database
    const validator = `5${randomUUID()}`
    const stored = await store({ validator })
    const { id } = stored
    expect(await undeliveredJobs(db, validator, LONG_AGO)).toEqual([])
    expect(await move(stored, 'timed out', { reason: 'prepare-timed-out' })).toBe('moved')
    await store({ validator, state: 'rejected' })
    expect(await undeliveredJobs(db, validator, LONG_AGO)).toEqual([id])
    expect(await undeliveredJob(db, id)).toMatchObject({ id, reason: 'prepare-timed-out' })
    expect(await undeliveredJobs(db, validator, new Date(AT.getTime() + 1)), 'too old').toEqual([])
    await markDelivered(db, id, AT)
    expect(await undeliveredJobs(db, validator, LONG_AGO)).toEqual([])
    expect(await undeliveredJob(db, id)).toBeUndefined()
  })

  it('lists the latest undelivered ends when there are too many, the oldest of them first', async () => {
    const { db } = database
    const validator = `5${randomUUID()}`
    const ids: number[] = []
    for (let second = 0; second < 203; second += 1) {
      const at = new Date(AT.getTime() + second * 1000)
      ids.push((await insertJob(db, job({ validator, state: 'failed' }), at))?.id ?? 0)
    }
    expect(await undeliveredJobs(db, validator, LONG_AGO)).toEqual(ids.slice(-200))
  })

  it('lists the jobs that an earlier run left open, which end once', async () => {
    const { db } = database
    const before = (await openJobs(db)).length
    const open = await store()
    const found = await openJobs(db)
    expect([found.length, found.at(-1)]).toEqual([before + 1, open.row])
    const again = new StoredJob(open.row)
    expect(await move(open, 'stopped', { reason: 'abandoned' })).toBe('moved')
    expect(open).toMatchObject({ state: 'broken', reason: 'abandoned' })
    expect(await move(again, 'stopped', { reason: 'abandoned' })).toBe('dropped')
    expect(await openJobs(db)).toHaveLength(before)
  })

  it.each([
    ['stores the work of a job while it runs', 100_000, true],
    ['stores no work that is too large', 300_000, false],
  ])('%s', async (_title, characters, isKept) => {
    const { db } = database
    const stored = await store()
    const { uuid } = stored
    const work: JobWork = {
      ...{ jobUuid: uuid as never, image: 'img', script: null, preset: 'none', args: ['\u0000'], env: {} },
      volumes: [{ kind: 'inline-zip', base64: 'A'.repeat(characters), folder: null }],
      ...{ uploads: NO_UPLOADS, artifactsFolder: null },
    }
    await moveAlong(stored, 'accept', 'ready')
    expect(await move(stored, 'work', { work })).toBe('moved')
    const row = await findJob(db, '5Validator', uuid)
    expect(row && workOf(row)).toEqual(isKept ? { ...work, type: 'work' } : undefined)
    // Releases before v2026 read the work in the form of v0.
    if (isKept) expect(row?.work).toMatchObject({ message_type: 'V0JobRequest', docker_image_name: 'img' })
    await moveAlong(stored, 'finish')
    expect((await findJob(db, '5Validator', uuid))?.work).toBeNull()
  })

  it('stores work that v0 cannot express', async () => {
    const stored = await store()
    const work: JobWork = {
      ...{ jobUuid: stored.uuid as never, image: 'img', script: 'print(1)', preset: 'none', args: [], env: { A: 'b' } },
      volumes: [{ kind: 'file-url', url: 'http://host/file', path: 'a/b' }],
      ...{ uploads: NO_UPLOADS, artifactsFolder: '/artifacts' },
    }
    await moveAlong(stored, 'accept', 'ready')
    await move(stored, 'work', { work })
    const row = await findJob(database.db, '5Validator', stored.uuid)
    expect(row && workOf(row)).toEqual({ ...work, type: 'work' })
  })
})
