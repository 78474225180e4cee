/** Faults of the chain and the database while a user's job of v2026 runs: no end is told that is not stored. */
import { type Clock, systemClock } from '@horde/kit/time'
import { userJob } from '@horde/testing/peers/v2026/facilitator'
import { type Peer2026, play2026 } from '@horde/testing/peers/v2026/scripted-miner'
import { eq } from 'drizzle-orm'
import { expect, it } from 'vitest'
import { jobs } from '../../src/db/schema.ts'
import { findUserJob, triesOf } from '../../src/db/users/user-jobs.ts'
import { withDatabase } from '../db/databases.ts'
import { startUserWorld, type WorldOptions } from './user-world.ts'

const database = withDatabase()

const start = (options: Omit<WorldOptions, 'db'>) => startUserWorld({ db: database().db, ...options })

type World = Awaited<ReturnType<typeof start>>

const STEPS = ['received', 'accepted', 'executor_ready', 'volumes_ready', 'execution_done']
const RESULT = { docker_process_stdout: 'out', docker_process_stderr: '', artifacts: { a: 'aGk=' } }

const finishing = async (peer: Peer2026, whenWorking: () => unknown = () => {}) => {
  await play2026.working(peer)
  for (const type of ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest']) peer.sendForJob(type)
  await whenWorking()
  peer.sendForJob('V0JobFinishedRequest', RESULT)
  await peer.gone
}

/** Makes picks fail while it returns true, as while the chain is away. */
function breakPicks({ deps }: World, isAway: () => boolean): { failed: number } {
  const pick = deps.picker.pick.bind(deps.picker)
  const picks = { failed: 0 }
  deps.picker.pick = async (...args) => {
    if (!isAway()) return (await pick(...args)) as never
    picks.failed += 1
    throw new Error('the chain does not answer')
  }
  return picks
}

const storedJob = (uuid: string) => findUserJob(database().db, uuid)

it('waits for a chain that is away when a miner is picked', async () => {
  await using world = await start({ miners: [{ v2026: finishing }] })
  const picks = breakPicks(world, () => picks.failed === 0)
  const job = userJob()
  expect((await world.ask(job)).map(({ status }) => status)).toEqual([...STEPS, 'completed'])
  expect(picks.failed).toBe(1)
})

it('waits for a chain that is away when a job is resumed', async () => {
  await using world = await start({ miners: [{ v2026: finishing }] })
  const picks = breakPicks(world, () => picks.failed < 2)
  const { facilitator, connection, connect } = world
  const job = userJob()
  facilitator.peers[0]?.send(job)
  await expect.poll(() => picks.failed).toBe(1)
  await connection[Symbol.asyncDispose]()
  expect(await storedJob(job.uuid)).toMatchObject({ endedAt: null, toldAt: null })
  connect()
  await facilitator.until(() => facilitator.statuses(job.uuid).includes('completed'))
  expect(picks.failed).toBe(2)
  expect(facilitator.statuses(job.uuid)).not.toContain('horde_failed')
})

it('stores the end of a job for which the chain stays away, and tells that', async () => {
  let laterMs = 0
  const clock: Clock = { ...systemClock, now: () => Date.now() + laterMs }
  await using world = await start({ miners: [{ v2026: finishing }], clock })
  breakPicks(world, () => {
    laterMs = 700_000
    return true
  })
  const job = userJob()
  const updates = await world.ask(job)
  const details = { rejected_by: 'validator', reason: 'unknown', message: expect.stringContaining('in time') }
  expect(updates.map(({ status }) => status)).toEqual(['received', 'rejected'])
  expect(updates.at(-1)).toMatchObject({ metadata: { job_rejection_details: details } })
  await expect.poll(() => storedJob(job.uuid)).toMatchObject({ endedAt: expect.any(Date), toldAt: expect.any(Date) })
  expect(await triesOf(database().db, job.uuid)).toEqual([])
})

it('tells a good end whole although the database fails just after it', async () => {
  const working = Promise.withResolvers<void>()
  const broken = Promise.withResolvers<void>()
  const whenWorking = () => {
    working.resolve()
    return broken.promise
  }
  await using world = await start({ miners: [{ v2026: peer => finishing(peer, whenWorking) }] })
  const job = userJob()
  let fails = 0
  const { facilitator, deps } = world
  const { db } = deps
  deps.db = new Proxy(db, {
    get(target, key) {
      if (key === 'select' && fails > 0) {
        fails -= 1
        throw new Error('terminating connection due to administrator command')
      }
      return Reflect.get(target, key)
    },
  })
  facilitator.peers[0]?.send(job)
  await working.promise
  await facilitator.until(() => facilitator.statuses(job.uuid).includes('execution_done'))
  fails = 1
  broken.resolve()
  await facilitator.until(() => ['completed', 'horde_failed'].includes(facilitator.statuses(job.uuid).at(-1) ?? ''))
  expect(facilitator.statuses(job.uuid)).toEqual([...STEPS, 'completed'])
  expect(facilitator.updates(job.uuid).at(-1)?.metadata?.miner_response).toMatchObject(RESULT)
  expect(fails).toBe(0)
})

const NOT_SAVED = { readyAt: null, runningAt: null, workSent: null }
it.each([
  ['was accepted', { state: 'accepted', ...NOT_SAVED } as const, ['failed', [[0, 'broken']]] as const],
  [
    'was not offered',
    { state: 'offered', acceptedAt: null, offeredAt: null, ...NOT_SAVED } as const,
    [
      'completed',
      [
        [0, 'broken'],
        [1, 'finished'],
      ],
    ] as const,
  ],
])('after a kill, gives a job to another miner only if the first cannot have its work: it %s', async (_, row, ends) => {
  let isDead = false
  const dying = async (peer: Peer2026) => {
    if (isDead) return peer.cut()
    await play2026.working(peer)
    return peer.gone
  }
  const limits = { connectMs: 10_000, manifestMs: 500, readyMs: 1_000, reservationMs: 1_000, jobMs: 10_000 }
  await using world = await start({ miners: [{ v2026: dying }, { v2026: finishing }], limits })
  const { facilitator, connection, connect } = world
  const { db } = database()
  const job = userJob()
  facilitator.peers[0]?.send(job)
  await expect.poll(async () => (await triesOf(db, job.uuid))[0]?.state, { timeout: 9_000 }).toBe('running')
  await connection[Symbol.asyncDispose]()
  // The row of a process that was killed before it saved that it had sent the work.
  await db.update(jobs).set(row).where(eq(jobs.userJob, job.uuid))
  isDead = true
  connect()
  await facilitator.until(() => ['completed', 'failed'].includes(facilitator.statuses(job.uuid).at(-1) ?? ''))
  const tries = (await triesOf(db, job.uuid)).map(({ minerUid, state }) => [minerUid, state])
  expect([facilitator.statuses(job.uuid).at(-1), tries]).toEqual(ends)
})
