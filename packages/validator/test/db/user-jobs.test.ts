import { randomUUID } from 'node:crypto'
import type { OpenDatabase } from '@horde/kit/database'
import type { JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { userJob } from '@horde/testing/peers/v2026/facilitator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { jobs } from '../../src/db/schema.ts'
import { incidentsByMiner, openJobsByMiner } from '../../src/db/users/miner-records.ts'
import {
  addCheatReport,
  addUserJob,
  endOrphanedUserJobs,
  endUserJob,
  findUserJob,
  markUserJobReported,
  TOO_LATE,
  triesOf,
  unreportedUserJobs,
} from '../../src/db/users/user-jobs.ts'
import { openTestDatabase, withPostgres } from './databases.ts'

const postgres = withPostgres()
const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const

const now = new Date()
const hourAgo = new Date(now.getTime() - 3_600_000)

describe.each(engines)("users' jobs on %s", (_, newUrl) => {
  let database: OpenDatabase
  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
  })
  afterAll(() => database[Symbol.asyncDispose]())

  const add = async (signed: string | null = randomUUID(), job = userJob()) => {
    const added = await addUserJob(database.db, job, { signatory: 'alice', signed, createdAt: now })
    return { job, added }
  }
  const tryOn = (minerHotkey: string, fields: object = {}) =>
    database.db.insert(jobs).values({
      ...{ uuid: randomUUID(), minerHotkey, minerUid: 1, minerAddress: 'x', createdAt: now },
      ...{ state: 'finished' as JobState, executorClass: 'always_on.test', ...fields },
    })

  it('are stored once, and each signature is good for one', async () => {
    const { job, added } = await add('a signature')
    expect(added).toMatchObject({ uuid: job.uuid, signatory: 'alice', endedAt: null })
    expect((await add('another', job)).added).toBe('known')
    expect((await add('a signature')).added).toBe('used')
    for (const another of [await add(null), await add(null)]) {
      expect(another.added).toMatchObject({ uuid: another.job.uuid })
    }
    const by = { signatory: 'alice', signed: 'a signature', createdAt: now }
    expect(await addUserJob(database.db, job, by, true), 'one that an earlier try added').toMatchObject({
      uuid: job.uuid,
    })
    const { signature: _signature, ...request } = job
    expect(await findUserJob(database.db, job.uuid)).toMatchObject({ request, signatory: 'alice', endedAt: null })
  })

  it('are unreported until the facilitator has confirmed their end; then no whole report is kept', async () => {
    const { job } = await add()
    const { db } = database
    const isUnreported = async () => (await unreportedUserJobs(db, hourAgo)).some(({ uuid }) => uuid === job.uuid)
    await tryOn('a', { userJob: job.uuid, report: '{"type":"finish"}' })
    expect(await isUnreported()).toBe(true)
    await markUserJobReported(db, job.uuid, now)
    expect(await findUserJob(db, job.uuid), 'one that has not ended cannot be reported').toMatchObject({ toldAt: null })
    expect((await triesOf(db, job.uuid))[0]?.report).toEqual({ type: 'finish' })
    await endUserJob(db, job.uuid, now, { reason: 'no-miner', message: 'none' })
    await endUserJob(db, job.uuid, now, null)
    expect(await findUserJob(db, job.uuid)).toMatchObject({ refusal: { reason: 'no-miner', message: 'none' } })
    expect(await isUnreported()).toBe(true)
    expect((await triesOf(db, job.uuid))[0]?.report).toEqual({ type: 'finish' })
    await markUserJobReported(db, job.uuid, now)
    expect(await isUnreported()).toBe(false)
    expect((await triesOf(db, job.uuid))[0]?.report).toBe(null)
  })

  it('that no process drives any more are ended: by their last try, or as too late', async () => {
    const { db } = database
    const [tried, untried, running] = [(await add()).job, (await add()).job, (await add()).job]
    await tryOn('a', { userJob: tried.uuid, endedAt: now })
    await tryOn('a', { userJob: running.uuid, endedAt: now })
    await tryOn('a', { userJob: running.uuid, state: 'running', executorClass: 'spin_up-4min.gpu-24gb' })
    expect(await endOrphanedUserJobs(db, now, now), 'all are too young').toBe(0)
    const later = new Date(now.getTime() + 1)
    expect(await endOrphanedUserJobs(db, later, later)).toBeGreaterThanOrEqual(2)
    expect(await findUserJob(db, tried.uuid)).toMatchObject({ endedAt: later, refusal: null, toldAt: null })
    expect(await findUserJob(db, untried.uuid)).toMatchObject({ endedAt: later, refusal: TOO_LATE, toldAt: null })
    expect(await findUserJob(db, running.uuid)).toMatchObject({ endedAt: null })
    expect(await endOrphanedUserJobs(db, later, later)).toBe(0)
  })

  it('show how busy each miner is, and how often its jobs ended badly', async () => {
    const { db } = database
    const broken = (reason: Reason, fields: object = {}) => tryOn('busy', { state: 'broken', reason, ...fields })
    await tryOn('busy', { state: 'running' })
    await tryOn('busy', { state: 'offered' })
    await tryOn('busy', { state: 'running', executorClass: 'always_on.llm.a6000' })
    await tryOn('default', { state: 'accepted', executorClass: null })
    await broken('horde-failed')
    for (const notItsFault of ['run-timed-out', 'connection-lost', 'stopped'] as const) await broken(notItsFault)
    await broken('horde-failed', { createdAt: new Date(0) })
    const { job } = await add()
    await tryOn('cheat', { userJob: job.uuid })
    const report = { at: now, trustedJob: randomUUID(), details: '{}' }
    expect(await addCheatReport(db, job.uuid, report)).toBe(true)
    expect(await addCheatReport(db, job.uuid, report)).toBe(false)
    expect(await openJobsByMiner(db, 'always_on.test')).toEqual(new Map([['busy', 2]]))
    expect(await openJobsByMiner(db, 'always_on.gpu-24gb')).toEqual(new Map([['default', 1]]))
    const incidents = [...(await incidentsByMiner(db, hourAgo))].sort()
    expect(incidents).toEqual([
      ['busy', 1],
      ['cheat', 10],
    ])
  })
})
