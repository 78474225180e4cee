/** Which dialect the validator speaks with facilitators of each year, by what they send. */

import { request } from '@horde/testing/peers/facilitator'
import type { Peer as V0Peer } from '@horde/testing/peers/scripted-miner'
import { MANIFEST, play } from '@horde/testing/peers/scripted-miner'
import { userJob } from '@horde/testing/peers/v2026/facilitator'
import { expect, it } from 'vitest'
import { withDatabase } from '../db/databases.ts'
import { VALIDATOR } from '../jobs/drive.ts'
import { startUserWorld } from './user-world.ts'

const database = withDatabase()

const TEXTS = { docker_process_stdout: 'out', docker_process_stderr: 'err' }
const STEPS = ['received', 'accepted', 'executor_ready', 'volumes_ready', 'execution_done']

const v0 = async (peer: V0Peer) => {
  peer.send(MANIFEST)
  await play.working(peer)
  peer.sendForJob('V0JobFinishedRequest', TEXTS)
}

type Kind = 'v0' | 'v2026'
/** What the facilitator names when the validator dials it, its jobs in turn, and what the validator makes of it. */
const FACILITATORS: [about: string, capabilities: string | undefined, before: Kind, jobs: Kind[], after: Kind][] = [
  ['of 2024', undefined, 'v0', ['v0'], 'v0'],
  ['of 2026, which names nothing', undefined, 'v0', ['v2026', 'v2026'], 'v2026'],
  ['of ours', '2026, large-frames', 'v2026', ['v2026'], 'v2026'],
  ['of ours of before 2026', 'large-frames', 'v0', ['v0'], 'v0'],
  ['that says both, one after the other', undefined, 'v0', ['v0', 'v2026', 'v0'], 'v0'],
  ['that names 2026 and says v0 all the same', '2026', 'v2026', ['v0'], 'v0'],
]

it.each(FACILITATORS)('a facilitator %s', async (_, capabilities, before, kinds, after) => {
  await using world = await startUserWorld({
    ...{ db: database().db, miners: [{ v0 }], ...(capabilities === undefined ? {} : { capabilities }) },
  })
  const { facilitator, connection } = world
  expect(facilitator.requests[0]).toMatchObject({
    'x-horde-capabilities': '2026, large-frames',
    'x-validator-version': expect.stringMatching(/^\d+\.\d+\.\d+$/),
    'x-validator-runner-version': expect.any(String),
  })
  expect(JSON.parse(facilitator.frames[0] ?? '')).toMatchObject({
    public_key: Buffer.from(VALIDATOR.publicKey).toString('hex'),
  })
  expect(connection.state()).toMatchObject({ connected: true, dialect: before })
  for (const kind of kinds) {
    const miner_hotkey = world.miners[0]?.hotkey.ss58
    const job = kind === 'v0' ? request({ miner_hotkey }) : userJob()
    const updates = await facilitator.ask(job)
    if (kind === 'v2026') {
      expect(updates.map(({ status }) => status)).toEqual([...STEPS, 'completed'])
      continue
    }
    // Byte for byte what a facilitator of 2024 gets.
    const started = `{"message_type":"V0JobStatusUpdate","uuid":"${job.uuid}","status":`
    expect(facilitator.frames.filter(frame => frame.startsWith(started))).toEqual([
      `${started}"accepted","metadata":{"comment":"Miner accepted job","miner_response":null}}`,
      `${started}"completed","metadata":{"comment":"Miner finished job","miner_response":{"job_uuid":"${job.uuid}",` +
        '"message_type":"V0JobFinishedRequest","docker_process_stderr":"err","docker_process_stdout":"out"}}}',
    ])
  }
  expect(connection.state()).toMatchObject({ dialect: after })
  // A reconnect begins anew.
  facilitator.peers[0]?.cut()
  await facilitator.until(() => facilitator.peers.length === 2)
  await expect.poll(() => connection.state()).toMatchObject({ connected: true, dialect: before })
})

it('answers what is malformed in the dialect that it seems to be of, and goes on', async () => {
  await using world = await startUserWorld({ db: database().db, miners: [{ v0 }] })
  const { facilitator } = world
  const [ofV0, ofV2026] = [request({ use_gpu: 'perhaps' }), userJob({ args: 'a' })]
  for (const frame of ['', '[]', '{"message_type":"V2JobRequest"', '{"message_type":"V3JobRequest"}', ofV0, ofV2026]) {
    facilitator.peers[0]?.send(frame)
  }
  const updates = await facilitator.until(() => {
    const [first, second] = [facilitator.updates(ofV0.uuid), facilitator.updates(ofV2026.uuid)]
    return first.length > 0 && second.length > 0 && [...first, ...second]
  })
  expect(updates).toMatchObject([
    { status: 'failed', metadata: { comment: expect.stringContaining('use_gpu'), miner_response: null } },
    { status: 'rejected', metadata: { job_rejection_details: { message: expect.stringContaining('args') } } },
  ])
  expect((await facilitator.ask(userJob())).at(-1)?.status).toBe('completed')
  expect(facilitator.peers).toHaveLength(1)
})
