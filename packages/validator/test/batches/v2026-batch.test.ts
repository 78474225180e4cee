import { silentLog } from '@horde/kit/log'
import { MANIFEST_2026, play2026, startMiner2026, typesOf } from '@horde/testing/peers/v2026/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { and, eq } from 'drizzle-orm'
import { expect, it } from 'vitest'
import { runBatch } from '../../src/batches/run-batch.ts'
import { jobs, receipts } from '../../src/db/schema.ts'
import { withDatabase } from '../db/databases.ts'
import { MINER, unknownDialects, VALIDATOR } from '../jobs/drive.ts'
import { requestOf } from './run-scripts.ts'

const database = withDatabase()

it('gives each executor of a v2026 miner its job, over a connection of its own, and stores the receipts', async () => {
  using clock = turnClock()
  const manifest = { ...MANIFEST_2026, manifest: { 'always_on.test': 2, 'always_on.cpu.8c.16gb': 1 } }
  await using miner = await startMiner2026(MINER, async peer => {
    await peer.receive('ValidatorAuthForMiner')
    peer.send(manifest)
    const { job_uuid } = await peer.receive('V0InitialJobRequest')
    const send = (message_type: string, fields = {}) => peer.send({ message_type, job_uuid, ...fields })
    send('V0AcceptJobRequest')
    send('V0ExecutorReadyRequest')
    await peer.receive('V0JobAcceptedReceiptRequest')
    const { docker_run_options_preset: preset } = await peer.receive('V0JobRequest')
    expect(preset).toBe('none')
    send('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
    await peer.receive('V0JobFinishedReceiptRequest')
  })
  const { db } = database()
  const [ip = '', port] = miner.address.split(':')
  const axon = { ip, port: Number(port), ipType: 4 as const, protocol: 4, version: 0, block: 1 }
  const neuron = {
    uid: 1,
    hotkey: MINER.ss58,
    coldkey: MINER.ss58,
    stakeRao: 0n,
    validatorPermit: false,
    lastUpdate: 0,
  }
  const chain = { metagraph: async (netuid: number) => ({ netuid, block: 1, neurons: [{ ...neuron, axon }] }) }
  const dialects = unknownDialects()
  const deps = { chain, hotkey: VALIDATOR, dialects, db, clock, log: silentLog }
  const report = await runBatch(requestOf({ netuid: 2026 }), deps, new AbortController().signal)
  expect(report.jobs.map(({ end }) => [end?.state, end?.reason])).toEqual(Array(3).fill(['finished', null]))
  expect(miner.mistakes).toEqual([])
  // One connection for the manifest, and one for each job.
  expect(miner.connections()).toBe(4)
  await expect.poll(() => [...miner.closed.values()], { timeout: 5_000 }).toEqual(Array(4).fill(1000))
  expect(typesOf(miner).filter(type => type.endsWith('V0InitialJobRequest'))).toHaveLength(3)
  const rows = await db.select().from(jobs).where(eq(jobs.batchId, report.id))
  expect(rows.map(({ executorClass }) => executorClass).toSorted()).toEqual([
    ...['always_on.cpu.8c.16gb', 'always_on.test', 'always_on.test'],
  ])
  expect(rows.every(({ dialect, score }) => dialect === 'v2026' && Number(score) > 0)).toBe(true)
  for (const { uuid } of rows) {
    for (const type of ['JobStartedReceipt', 'JobAcceptedReceipt', 'JobFinishedReceipt'])
      expect(await db.$count(receipts, and(eq(receipts.jobUuid, uuid), eq(receipts.type, type)))).toBe(1)
  }
  expect(dialects.counts()).toEqual({ v0: 0, v2026: 1 })
})

it('drives the only job of a v2026 miner over the connection that brought the manifest', async () => {
  using clock = turnClock()
  await using miner = await startMiner2026(MINER, peer => play2026.finished(peer))
  const { db } = database()
  const only = [`${MINER.ss58}@${miner.address}`]
  const chain = { metagraph: async (netuid: number) => ({ netuid, block: 1, neurons: [] }) }
  const deps = { chain, hotkey: VALIDATOR, dialects: unknownDialects(), db, clock, log: silentLog }
  const report = await runBatch(requestOf({ netuid: 2027, only }), deps, new AbortController().signal)
  expect(report.jobs.map(({ end }) => end?.state)).toEqual(['finished'])
  expect([miner.connections(), miner.mistakes]).toEqual([1, []])
})
