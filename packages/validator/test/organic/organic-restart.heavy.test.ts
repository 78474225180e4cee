/** Kills a validator while users' jobs run, and starts it again. */
import { randomUUID } from 'node:crypto'
import type { OpenDatabase } from '@horde/kit/database'
import { request, startFacilitator } from '@horde/testing/peers/facilitator'
import { MANIFEST, type Peer, play } from '@horde/testing/peers/scripted-miner'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { jobs } from '../../src/db/schema.ts'
import { openTestDatabase, withPostgres } from '../db/databases.ts'
import { startProgram } from '../program.ts'
import { startWorld, type World } from '../world.ts'

const TEXTS = { docker_process_stdout: 'out', docker_process_stderr: 'err' }

const postgres = withPostgres()
let world: World
let facilitator: Awaited<ReturnType<typeof startFacilitator>>
/** What the miner does on each connection. */
let script: (peer: Peer) => Promise<unknown>

beforeAll(async () => {
  // With this stake threshold the validator has no turn, so no batch runs.
  world = await startWorld([async peer => void (await script(peer))], 6_000n)
  facilitator = await startFacilitator()
})
afterAll(async () => {
  await facilitator[Symbol.asyncDispose]()
  await world[Symbol.asyncDispose]()
})

const start = (DATABASE_URL: string) =>
  startProgram([], { ...world.env, LOG_LEVEL: 'info', FACILITATOR_URI: facilitator.uri, DATABASE_URL })
/** A new database, opened for the test too. */
const newDatabase = async () => {
  const url = await postgres().newDatabase()
  return { url, database: await openTestDatabase(url) }
}
const jobFor = () => request({ miner_hotkey: world.miners[0]?.hotkey.ss58 })
const statuses = (uuid: string) => facilitator.updates(uuid).map(each => 'status' in each && each.status)
const stateOf = async ({ db }: OpenDatabase, uuid: string) =>
  (await db.select({ state: jobs.state }).from(jobs).where(eq(jobs.uuid, uuid)))[0]?.state
const offers = () =>
  world.miners[0]?.received.flatMap(({ message }) =>
    message.message_type === 'V0InitialJobRequest' ? [message.job_uuid] : [],
  )

it('receives the result of a job whose work was sent before the kill', async () => {
  const working = Promise.withResolvers<void>()
  script = async peer => {
    peer.send(MANIFEST)
    await play.working(peer)
    working.resolve()
  }
  const job = jobFor()
  const { url, database: opened } = await newDatabase()
  await using database = opened
  await using first = start(url)
  await first.line('validator started')
  await facilitator.until(() => facilitator.peers.length === 1)
  facilitator.peers[0]?.send(job)
  await working.promise
  await facilitator.until(() => statuses(job.uuid).length === 1)
  await expect.poll(() => stateOf(database, job.uuid)).toBe('running')
  await first.kill()

  script = async peer => {
    peer.send(MANIFEST)
    await play.offered(peer)
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  }
  await using _second = start(url)
  await facilitator.until(() => statuses(job.uuid).includes('completed'))
  expect(statuses(job.uuid)).toEqual(['accepted', 'accepted', 'completed'])
  expect(facilitator.updates(job.uuid).at(-1)).toMatchObject({ metadata: { miner_response: TEXTS } })
  expect(offers(), 'the second asks what has become of the first').toEqual([job.uuid, job.uuid])
})

it('resumes a job that was not ready at the kill', async () => {
  const accepted = Promise.withResolvers<void>()
  script = async peer => {
    peer.send(MANIFEST)
    await play.accepted(peer)
    accepted.resolve()
  }
  const job = jobFor()
  const { url, database: opened } = await newDatabase()
  await using database = opened
  const peersBefore = facilitator.peers.length
  await using first = start(url)
  await facilitator.until(() => facilitator.peers.length > peersBefore)
  facilitator.peers.at(-1)?.send(job)
  await accepted.promise
  await expect.poll(() => stateOf(database, job.uuid)).toBe('accepted')
  await first.kill()

  script = async peer => {
    peer.send(MANIFEST)
    await play.finished(peer, 'out')
  }
  await using _second = start(url)
  await facilitator.until(() => statuses(job.uuid).includes('completed'))
  expect(statuses(job.uuid)).toEqual(['accepted', 'completed'])
})

it('reports a job whose deadline passed meanwhile as failed', async () => {
  const [late, other] = [jobFor(), jobFor()]
  const { url, database: opened } = await newDatabase()
  await using database = opened
  const row = {
    ...{ minerHotkey: late.miner_hotkey ?? '', minerUid: 1, minerAddress: '127.0.0.2:1' },
    ...{
      state: 'running' as const,
      createdAt: new Date(Date.now() - 400_000),
      deadline: new Date(Date.now() - 100_000),
    },
  }
  await database.db.insert(jobs).values([
    { ...row, uuid: late.uuid, source: 'facilitator', request: late as never },
    { ...row, uuid: other.uuid, source: 'command', request: other as never },
    { ...row, uuid: randomUUID(), source: 'facilitator', deadline: null },
  ])
  await using _program = start(url)
  await facilitator.until(() => statuses(late.uuid).length > 0)
  expect(facilitator.updates(late.uuid)).toMatchObject([
    { status: 'failed', metadata: { comment: 'The service that drove the job went away without ending it.' } },
  ])
  expect(statuses(other.uuid), 'the command line drove it').toEqual([])
})

it('reports a job once that ended before the kill and was not reported', async () => {
  const job = jobFor()
  const { url, database: opened } = await newDatabase()
  await using database = opened
  const ended = { state: 'finished' as const, createdAt: new Date(), endedAt: new Date(), stdout: 'out', stderr: 'err' }
  await database.db.insert(jobs).values({
    ...{ ...ended, minerHotkey: job.miner_hotkey ?? '', minerUid: 1, minerAddress: '127.0.0.2:1' },
    ...{ uuid: job.uuid, source: 'facilitator', request: job as never },
  })
  const toldAt = async () =>
    (await database.db.select({ toldAt: jobs.toldAt }).from(jobs).where(eq(jobs.uuid, job.uuid)))[0]?.toldAt
  await using first = start(url)
  await facilitator.until(() => statuses(job.uuid).length > 0)
  expect(facilitator.updates(job.uuid)).toMatchObject([{ status: 'completed', metadata: { miner_response: TEXTS } }])
  await expect.poll(toldAt).toBeInstanceOf(Date)
  await first.kill()

  await using second = start(url)
  await second.line('facilitator connected')
  const other = { ...jobFor(), env: { A: 'b' } }
  facilitator.peers.at(-1)?.send(other)
  await facilitator.until(() => statuses(other.uuid).length > 0)
  expect(statuses(job.uuid)).toEqual(['completed'])
})
