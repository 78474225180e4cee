/** What miners that were asked for their manifest and did not answer mean for the pick. */
import { systemClock } from '@horde/kit/time'
import { userJob } from '@horde/testing/peers/v2026/facilitator'
import { type Peer2026, play2026 } from '@horde/testing/peers/v2026/scripted-miner'
import { expect, it } from 'vitest'
import { withDatabase } from '../db/databases.ts'
import { startUserWorld } from './user-world.ts'

const database = withDatabase()

/** What a miner does with its connections: it works, ends them, or says nothing. */
type Mood = 'working' | 'away' | 'silent'

/** Starts a validator with miners whose moods can be changed. */
async function startMoody(...first: Mood[]) {
  const moods = [...first]
  let aheadMs = 0
  const scriptOf = (index: number) => async (peer: Peer2026) => {
    if (moods[index] === 'away') return peer.cut()
    if (moods[index] === 'silent') return peer.gone
    await play2026.working(peer)
    for (const type of ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest']) peer.sendForJob(type)
    peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'out', docker_process_stderr: '' })
    await peer.gone
  }
  const world = await startUserWorld({
    db: database().db,
    clock: { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs },
    miners: moods.map((_, index) => ({ v2026: scriptOf(index) })),
  })
  const miners = world.miners.map(({ hotkey, address }, uid) => ({ uid, hotkey: hotkey.ss58, address }))
  return {
    set: (...now: Mood[]) => void moods.splice(0, moods.length, ...now),
    poll: () => world.manifests.ask(miners, new AbortController().signal),
    later: (ms: number) => {
      aheadMs += ms
    },
    offered: () => miners.map(miner => world.manifests.offered(miner, 'always_on.test')?.executors),
    askedConnections: () => world.miners.map(({ of2026 }) => of2026?.connections()),
    run: async () => (await world.ask(userJob())).at(-1),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}

const refusedFor = (message: string) => ({ status: 'rejected', metadata: { job_rejection_details: { message } } })

it('gives a job to a miner that one poll did not reach', async () => {
  await using world = await startMoody('working', 'working')
  await world.poll()
  world.set('away', 'away')
  await world.poll()
  expect(world.offered()).toEqual([1, 1])
  world.set('working', 'working')
  expect((await world.run())?.status).toBe('completed')
})

it('prefers a miner that has answered the last poll', async () => {
  await using world = await startMoody('working', 'working')
  await world.poll()
  world.set('away', 'working')
  await world.poll()
  const before = world.askedConnections()
  expect((await world.run())?.status).toBe('completed')
  expect(world.askedConnections()[0]).toBe(before[0])
})

it('drops a manifest that is as old as it may be when its miner is still not reached', async () => {
  await using world = await startMoody('working')
  await world.poll()
  world.set('away')
  world.later(40_000)
  await world.poll()
  expect(world.offered()).toEqual([1])
  world.later(30_000)
  await world.poll()
  expect(world.offered()).toEqual([undefined])
})

it('asks a miner again that could not be reached, and names it in a refusal', async () => {
  await using world = await startMoody('away')
  await world.poll()
  const refusal = 'No miner has executors of the class always_on.test. One miner could not be reached.'
  expect(await world.run()).toMatchObject(refusedFor(refusal))
  world.set('working')
  world.later(30_000)
  expect((await world.run())?.status).toBe('completed')
})

it('does not take a miner that says nothing for a while for one of v0', async () => {
  await using world = await startMoody('working')
  await world.poll()
  world.set('silent')
  await world.poll()
  expect(world.offered()).toEqual([1])
  world.set('working')
  expect((await world.run())?.status).toBe('completed')
})

it('asks a miner again that had said nothing', async () => {
  await using world = await startMoody('silent')
  await world.poll()
  world.set('working')
  expect((await world.run())?.status).toBe('rejected')
  world.later(30_000)
  expect((await world.run())?.status).toBe('completed')
})
