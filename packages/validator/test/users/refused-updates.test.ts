import { silentLog } from '@horde/kit/log'
import { userJob } from '@horde/testing/peers/v2026/facilitator'
import { type Peer2026, play2026 } from '@horde/testing/peers/v2026/scripted-miner'
import { expect, it } from 'vitest'
import { findUserJob, triesOf } from '../../src/db/users/user-jobs.ts'
import { withDatabase } from '../db/databases.ts'
import { startUserWorld } from './user-world.ts'

const database = withDatabase()

const ARTIFACTS = { '/artifacts/a': 'x'.repeat(500_000) }

/** A miner whose jobs with artifacts have a large result. */
const finishing = async (peer: Peer2026) => {
  const { artifacts_dir: folder } = await play2026.working(peer)
  const artifacts = folder === null ? {} : ARTIFACTS
  peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'out', docker_process_stderr: '', artifacts })
  await peer.receive('V0JobFinishedReceiptRequest')
}

it('an end that is too large for its facilitator is reported without details, and others follow', async () => {
  const { db } = database()
  await using world = await startUserWorld({
    ...{ db, miners: [{ v2026: finishing }, { v2026: finishing }], maxFrameBytes: 100_000, log: silentLog },
  })
  const { facilitator } = world
  const large = userJob({ artifacts_dir: '/artifacts' })
  facilitator.peers.at(-1)?.send(large)
  await facilitator.until(() => facilitator.statuses(large.uuid).includes('completed'))
  const response = facilitator.updates(large.uuid).at(-1)?.metadata?.miner_response
  expect(response).toMatchObject({ artifacts: {}, docker_process_stderr: expect.stringContaining('left out') })
  expect((await world.ask(userJob())).at(-1)?.metadata?.miner_response?.docker_process_stdout).toBe('out')
  expect(facilitator.malformed).toEqual([])
  // The facilitator does not have the result, so the database keeps it.
  expect(await findUserJob(db, large.uuid)).toMatchObject({ toldAt: null })
  expect((await triesOf(db, large.uuid))[0]?.report).toMatchObject({ output: { artifacts: ARTIFACTS } })
}, 20_000)
