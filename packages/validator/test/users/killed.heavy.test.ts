/** Kills a validator while a user's job of v2026 runs, and starts it again. */
import { randomUUID } from 'node:crypto'
import { MANIFEST, type Peer, play } from '@horde/testing/peers/scripted-miner'
import { type Facilitator2026, startFacilitator2026, USER, userJob } from '@horde/testing/peers/v2026/facilitator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { triesOf } from '../../src/db/users/user-jobs.ts'
import { openTestDatabase, withPostgres } from '../db/databases.ts'
import { startProgram } from '../program.ts'
import { startWorld, type World } from '../world.ts'

const TEXTS = { docker_process_stdout: 'out', docker_process_stderr: 'err' }

const postgres = withPostgres()
let world: World
let facilitator: Facilitator2026
/** What the miner does on each connection; one more asks for its manifest. */
let script: (peer: Peer) => Promise<unknown>

beforeAll(async () => {
  // With this stake threshold the validator has no turn, so no batch runs.
  world = await startWorld([async peer => void (await script(peer))], 6_000n)
  facilitator = await startFacilitator2026()
})
afterAll(async () => {
  await facilitator[Symbol.asyncDispose]()
  await world[Symbol.asyncDispose]()
})

it('finishes a job that ran at the kill, on the same miner, and takes its signature for no other', async () => {
  const working = Promise.withResolvers<void>()
  script = async peer => {
    peer.send(MANIFEST)
    await play.working(peer)
    working.resolve()
  }
  const DATABASE_URL = await postgres().newDatabase()
  await using database = await openTestDatabase(DATABASE_URL)
  const env = { ...world.env, LOG_LEVEL: 'info', FACILITATOR_URI: facilitator.uri, USER_KEYS: USER.ss58, DATABASE_URL }
  const job = userJob()
  const tries = () => triesOf(database.db, job.uuid)
  await using first = startProgram([], env)
  await facilitator.until(() => facilitator.peers.length === 1)
  facilitator.peers[0]?.send(job)
  await working.promise
  await expect.poll(async () => (await tries())[0]?.state).toBe('running')
  await first.kill()

  script = async peer => {
    peer.send(MANIFEST)
    await play.offered(peer)
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  }
  await using _second = startProgram([], env)
  await facilitator.until(() => facilitator.statuses(job.uuid).includes('completed'))
  expect(facilitator.updates(job.uuid).at(-1)?.metadata?.miner_response).toMatchObject(TEXTS)
  expect(await tries()).toMatchObject([{ uuid: job.uuid, state: 'finished' }])

  const replayed = { ...job, uuid: randomUUID() }
  expect((await facilitator.ask(replayed)).at(-1)).toMatchObject({
    metadata: { job_rejection_details: { reason: 'invalid_signature', message: expect.stringContaining('used') } },
  })
  expect(facilitator.malformed).toEqual([])
})
