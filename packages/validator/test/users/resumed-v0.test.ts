import { DEFAULT_CLASS } from '@horde/protocol/classes'
import { MANIFEST, play, type ScriptedMiner, type Peer as V0Peer } from '@horde/testing/peers/scripted-miner'
import { userJob } from '@horde/testing/peers/v2026/facilitator'
import { expect, it } from 'vitest'
import { triesOf } from '../../src/db/users/user-jobs.ts'
import { withDatabase } from '../db/databases.ts'
import { startUserWorld } from './user-world.ts'

const database = withDatabase()

/** Runs a job on a v0 miner across a restart of the validator. Returns what the miner is sent for it, before and after. */
async function sentAcrossRestart(hasManifest: boolean): Promise<{ before: string[]; after: string[] }> {
  const resumed = Promise.withResolvers<number>()
  let runsOn: number | undefined
  const script = async (peer: V0Peer) => {
    if (hasManifest) peer.send(MANIFEST)
    if (runsOn !== undefined) {
      peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'out', docker_process_stderr: '' })
      await peer.gone
      return resumed.resolve(peer.connection)
    }
    await play.working(peer)
    runsOn = peer.connection
    await peer.gone
  }
  await using world = await startUserWorld({ db: database().db, miners: [{ v0: script }] })
  const job = userJob({ executor_class: hasManifest ? 'always_on.test' : DEFAULT_CLASS })
  world.facilitator.peers[0]?.send(job)
  await expect.poll(async () => (await triesOf(database().db, job.uuid))[0]?.state).toBe('running')
  await world.connection[Symbol.asyncDispose]()
  world.connect()
  await world.facilitator.until(() => world.facilitator.statuses(job.uuid).includes('completed'))
  const last = await resumed.promise
  const { received } = world.miners[0] as unknown as ScriptedMiner
  const sentOn = (connection: number | undefined) =>
    received.filter(it => it.connection === connection).map(({ message }) => message.message_type)
  return { before: sentOn(runsOn), after: sentOn(last) }
}

const OFFER_AND_WORK = ['V0InitialJobRequest', 'V0JobRequest']

it('offers a v0 miner without a manifest its job once, also after a restart', async () => {
  const { before, after } = await sentAcrossRestart(false)
  expect(before).toEqual(expect.arrayContaining(OFFER_AND_WORK))
  expect(after).toEqual(['V0AuthenticateRequest'])
})

it('offers a v0 miner that sends manifests its job again after a restart', async () => {
  const { before, after } = await sentAcrossRestart(true)
  expect(before).toEqual(expect.arrayContaining(OFFER_AND_WORK))
  expect(after).toEqual(['V0AuthenticateRequest', 'V0InitialJobRequest'])
})
