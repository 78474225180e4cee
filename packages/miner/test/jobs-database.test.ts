import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type OpenDatabase, openDatabase } from '@horde/kit/database'
import { startPostgres } from '@horde/testing/postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  abandonJob,
  findJob,
  insertJob,
  jobDue,
  jobsDue,
  markDelivered,
  moveJob,
  type NewJob,
  openJobs,
} from '../src/db/jobs.ts'

const migrationsFolder = fileURLToPath(new URL('../drizzle', import.meta.url))
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

  it('one uuid of one validator is one job, in any case; of two validators it is two', async () => {
    const { db } = database
    const first = job({ uuid: randomUUID().toUpperCase() })
    const row = await insertJob(db, first, AT)
    expect(row).toMatchObject({ ...first, offeredAt: AT, endedAt: null, deliveredAt: null })
    expect(await insertJob(db, { ...first, uuid: first.uuid.toLowerCase() }, AT)).toBeUndefined()
    expect(await insertJob(db, { ...first, validator: '5Other' }, AT)).toBeDefined()
    expect(await findJob(db, '5Validator', first.uuid.toLowerCase())).toEqual(row)
  })

  it('moves only from where the event may come, once, with any text', async () => {
    const { db } = database
    const { id = 0, uuid = '' } = (await insertJob(db, job(), AT)) ?? {}
    const finish = {
      event: 'V0JobFinishedRequest',
      to: 'finished',
      result: { exitStatus: 0, stdout: 'NUL \u0000, half a pair \ud800, \u{1f600}', stderr: '"\\' },
    } as const
    expect(await moveJob(db, id, finish, AT)).toBe(false)
    expect(await moveJob(db, id, { event: 'V0AcceptJobRequest', to: 'accepted' }, AT)).toBe(true)
    expect(await moveJob(db, id, { event: 'V0ExecutorReadyRequest', to: 'ready' }, AT)).toBe(true)
    expect(await moveJob(db, id, { event: 'V0JobRequest', to: 'running' }, AT)).toBe(true)
    const both = await Promise.all([
      moveJob(db, id, finish, AT),
      moveJob(db, id, { event: 'timed out', to: 'broken' }, AT),
    ])
    expect(both.filter(Boolean)).toHaveLength(1)
    const row = await findJob(db, '5Validator', uuid)
    expect([row?.readyAt, row?.startedAt, row?.endedAt]).toEqual([AT, AT, AT])
    if (both[0]) expect(row?.result).toEqual(finish.result)
  })

  it('an end stays due until it is delivered', async () => {
    const { db } = database
    const validator = `5${randomUUID()}`
    const { id = 0 } = (await insertJob(db, job({ validator }), AT)) ?? {}
    expect(await jobsDue(db, validator, LONG_AGO)).toEqual([])
    await moveJob(db, id, { event: 'timed out', to: 'broken', reason: 'prepare-timed-out' }, AT)
    await insertJob(db, job({ validator, state: 'rejected' }), AT)
    expect(await jobsDue(db, validator, LONG_AGO)).toEqual([id])
    expect(await jobDue(db, id)).toMatchObject({ id, reason: 'prepare-timed-out' })
    expect(await jobsDue(db, validator, new Date(AT.getTime() + 1)), 'too old').toEqual([])
    await markDelivered(db, id, AT)
    expect(await jobsDue(db, validator, LONG_AGO)).toEqual([])
    expect(await jobDue(db, id)).toBeUndefined()
  })

  it('the latest ends are told when there are too many, the oldest of them first', async () => {
    const { db } = database
    const validator = `5${randomUUID()}`
    const ids: number[] = []
    for (let second = 0; second < 203; second += 1) {
      const at = new Date(AT.getTime() + second * 1000)
      ids.push((await insertJob(db, job({ validator, state: 'failed' }), at))?.id ?? 0)
    }
    expect(await jobsDue(db, validator, LONG_AGO)).toEqual(ids.slice(-200))
  })

  it('what an earlier run left open is found, and ended once', async () => {
    const { db } = database
    const before = (await openJobs(db)).length
    const open = await insertJob(db, job(), AT)
    const found = await openJobs(db)
    expect([found.length, found.at(-1)]).toEqual([before + 1, open])
    expect(await abandonJob(db, open?.id ?? 0, AT)).toMatchObject({ state: 'broken', reason: 'abandoned' })
    expect(await abandonJob(db, open?.id ?? 0, AT)).toBeUndefined()
    expect(await openJobs(db)).toHaveLength(before)
  })

  it.each([
    ['kept while it runs', 100_000, true],
    ['not kept when it is too large', 300_000, false],
  ])('the work of a job is %s', async (_words, characters, isKept) => {
    const { db } = database
    const { id = 0, uuid = '' } = (await insertJob(db, job(), AT)) ?? {}
    const work = {
      message_type: 'V0JobRequest' as const,
      job_uuid: uuid as never,
      docker_image_name: 'img',
      raw_script: null,
      docker_run_options_preset: 'none',
      docker_run_cmd: ['\u0000'],
      volume: { volume_type: 'inline' as const, contents: 'A'.repeat(characters) },
      output_upload: null,
    }
    await moveJob(db, id, { event: 'V0AcceptJobRequest', to: 'accepted' }, AT)
    await moveJob(db, id, { event: 'V0ExecutorReadyRequest', to: 'ready' }, AT)
    await moveJob(db, id, { event: 'V0JobRequest', to: 'running', work }, AT)
    expect((await findJob(db, '5Validator', uuid))?.work).toEqual(isKept ? work : null)
    await moveJob(db, id, { event: 'V0JobFinishedRequest', to: 'finished' }, AT)
    expect((await findJob(db, '5Validator', uuid))?.work).toBeNull()
  })
})
