import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { MANIFEST, play, startScriptedMiner } from '@horde/testing/peers/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { describe, expect, it } from 'vitest'
import { MinerConnection } from '../../src/jobs/miner-connection.ts'
import { runScripts } from '../batches/run-scripts.ts'
import { withDatabase } from '../db/databases.ts'
import { AT_ONCE, MINER, PATIENT, unknownDialects, VALIDATOR } from './drive.ts'

const database = withDatabase()
/** Far more frames than an honest miner sends in a batch. */
const FLOOD = 30_000

describe('a miner cannot keep the validator busy', () => {
  it('by sending small frames without end: the validator closes the connection', async () => {
    const { report, miners } = await runScripts(
      [
        async peer => {
          await play.accepted(peer)
          for (let i = 0; i < FLOOD; i += 1) peer.send('')
          peer.sendForJob('V0ExecutorReadyRequest')
          await peer.gone
        },
      ],
      database().db,
    )
    expect(report.jobs.map(({ end }) => [end?.state, end?.reason, end?.score])).toEqual([
      ['broken', 'connection-lost', 0],
    ])
    expect(miners[0]?.connections()).toBe(1)
  })

  it('by sending error messages, which go to all its jobs', async () => {
    const uuid = '9a74be09-d985-4a66-9d28-554f00ad7cfa'
    await using miner = await startScriptedMiner(MINER, peer => {
      for (let i = 0; i < 50; i += 1) peer.send({ message_type: 'GenericError', details: String(i) })
      peer.send({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
    })
    const { signal } = new AbortController()
    await using connection = new MinerConnection({
      ...{ miner: { hotkey: MINER.ss58, address: miner.address }, hotkey: VALIDATOR, maxFrameBytes: 100_000 },
      dialects: unknownDialects(),
      ...{ reconnect: AT_ONCE, clock: systemClock, log: silentLog, signal },
    })
    using channel = connection.channel(uuid)
    const types: string[] = []
    while (types.at(-1) !== 'message') types.push((await channel.next(10_000, signal))?.type ?? 'message')
    expect(types.filter(type => type === 'complained').length).toBe(20)
  })
})

it('by long outputs: only the part that the database stores stays in memory', async () => {
  const { report, rows } = await runScripts([peer => play.finished(peer, 'x'.repeat(1_900_000))], database().db)
  const [job] = report.jobs
  expect(job?.end?.stdout).toBe(rows[0]?.stdout)
  expect(job?.end?.stdout?.length).toBeLessThanOrEqual(10_000)
})

it('by reconnecting again and again: the batch ends at its deadline', async () => {
  using clock = turnClock()
  const { report, row } = await runScripts([async peer => peer.close()], database().db, {
    ...{ deadlineMs: 1_000, gatherMs: 20_000, limits: { ...PATIENT, manifestMs: 5_000 } },
    ...{ reconnect: { minMs: 60_000, maxMs: 60_000 }, clock },
  })
  expect(clock.monotonic()).toBeLessThan(5_000)
  expect(report.jobs.map(({ end }) => [end?.state, end?.score])).toEqual([['broken', 0]])
  expect(row?.closedAt).toBeInstanceOf(Date)
})

it('by never connecting: a stop does not wait for it', async () => {
  using clock = turnClock()
  const stop = new AbortController()
  void clock.sleep(1_000).then(() => stop.abort())
  await runScripts(
    [
      async peer => void peer.send(MANIFEST),
      async peer => {
        await peer.gone
      },
    ],
    database().db,
    { gatherMs: 20_000, limits: { ...PATIENT, manifestMs: 10_000 }, clock },
    stop.signal,
  )
  expect(clock.monotonic()).toBeLessThan(8_000)
})
