/** Two processes of one validator, and a Postgres that is restarted in the middle of a batch. */

import { MANIFEST, type Peer, play } from '@horde/testing/peers/scripted-miner'
import { sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { batches, jobs } from '../../src/db/schema.ts'
import { openTestDatabase, withPostgres } from '../db/databases.ts'
import { type Program, startProgram } from '../program.ts'
import { startWorld, type World } from '../world.ts'

const postgres = withPostgres()
let world: World
let script: (peer: Peer) => Promise<unknown>
beforeAll(async () => {
  world = await startWorld([async peer => void (await script(peer))])
})
afterAll(() => world[Symbol.asyncDispose]())

/** Closes after each test, even after one that timed out. */
const programs: Program[] = []
afterEach(async () => {
  for (const program of programs.splice(0)) await program[Symbol.asyncDispose]()
})

function start(DATABASE_URL: string, env: Record<string, string> = {}): Program {
  const program = startProgram([], {
    ...{ ...world.env, DATABASE_URL, BENCHMARK: 'echo', BATCH_DEADLINE_SECONDS: '120', LOG_LEVEL: 'info', ...env },
  })
  programs.push(program)
  return program
}
/** The first batch and its jobs, as the database has them. */
async function saved(url: string) {
  await using database = await openTestDatabase(url)
  const [batch] = await database.db.select().from(batches).orderBy(batches.id).limit(1)
  return { batch, jobs: await database.db.select().from(jobs).where(sql`batch_id = ${batch?.id}`) }
}
/** The numbers of the connections on which work was received. */
const workOn = () =>
  world.miners[0]?.received.flatMap(({ connection, message }) =>
    message.message_type === 'V0JobRequest' ? [connection] : [],
  )

it('sends nothing once another process has taken the lock and the batch', async () => {
  const [offered, takenUp] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const mayBeReady = Promise.withResolvers<void>()
  script = async peer => {
    peer.send(MANIFEST)
    await play.accepted(peer)
    if (peer.connection === 1) offered.resolve()
    else takenUp.resolve()
    await mayBeReady.promise
    peer.sendForJob('V0ExecutorReadyRequest')
    await peer.receive('V0JobRequest')
    peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'x', docker_process_stderr: '' })
  }
  const url = await postgres().newDatabase()
  const first = start(url, { BATCH_AT_START: 'true', BATCH_INTERVAL_SECONDS: '86400' })
  await offered.promise
  // The second process checks every second for something to do.
  const second = start(url, { BATCH_INTERVAL_SECONDS: '2' })
  await second.line('validator started')
  await using held = await first.heldUp()
  await postgres().restart()
  await takenUp.promise
  await held[Symbol.asyncDispose]()
  await first.line('batch handed over')
  mayBeReady.resolve()

  await second.line('batch closed')
  expect(workOn()).toEqual([2])
  const { batch, jobs } = await saved(url)
  expect(batch).toMatchObject({ counts: true, closedAt: expect.any(Date) })
  expect(jobs.map(({ state }) => state)).toEqual(['finished'])
})

it('takes the lock again after a restart of Postgres, sends nothing meanwhile, and keeps measuring', async () => {
  const offered = Promise.withResolvers<void>()
  const mayBeReady = Promise.withResolvers<void>()
  const heardBefore = workOn()?.length ?? 0
  script = async peer => {
    peer.send(MANIFEST)
    await play.accepted(peer)
    offered.resolve()
    await mayBeReady.promise
    peer.sendForJob('V0ExecutorReadyRequest')
    await peer.receive('V0JobRequest')
    peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'x', docker_process_stderr: '' })
  }
  const url = await postgres().newDatabase()
  const program = start(url, { BATCH_AT_START: 'true', BATCH_INTERVAL_SECONDS: '86400', LOG_LEVEL: 'debug' })
  await offered.promise
  const tries = () => program.stdout.filter(line => line.includes('lock could not be taken again yet')).length
  await postgres().stop()
  await expect.poll(tries).toBeGreaterThan(0)
  mayBeReady.resolve()
  await expect.poll(tries).toBeGreaterThan(tries() + 3)
  expect(workOn()).toHaveLength(heardBefore)
  await postgres().start()
  await program.line('batch closed')
  expect(program.stdout).toContainEqual(expect.stringContaining('lock taken again'))
  expect(workOn()).toHaveLength(heardBefore + 1)
  const { batch, jobs } = await saved(url)
  expect(batch).toMatchObject({ counts: true, closedAt: expect.any(Date) })
  expect(jobs).toMatchObject([{ state: 'finished', reason: 'wrong-answer', seconds: expect.any(Number) }])
})
