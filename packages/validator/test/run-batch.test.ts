import type { Neuron } from '@horde/chain/metagraph'
import { type Hotkey, hotkeyFromUri } from '@horde/chain/wallet'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { eq } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'
import { batches, jobs } from '../src/db/schema.ts'
import { type BatchRequest, runBatch } from '../src/run-batch.ts'
import { withDatabase } from './databases.ts'
import { AT_ONCE, PATIENT, RIGHT, VALIDATOR } from './drive.ts'
import { HOST, MANIFEST, type Peer, play, type ScriptedMiner, startScriptedMiner, talk } from './scripted-miner.ts'

const database = withDatabase()
const NETUID = 7

type Script = (peer: Peer) => Promise<unknown>

const neuron = (uid: number, hotkey: Hotkey, port: number | undefined): Neuron => ({
  ...{ uid, hotkey: hotkey.ss58, coldkey: hotkey.ss58, stakeRao: 0n, validatorPermit: false, lastUpdate: 0 },
  axon: port === undefined ? null : { ip: HOST, port, ipType: 4, protocol: 4, version: 0, block: 1 },
})

/** A batch on miners with these scripts; uid 0 is the validator, and the last uid serves nothing. */
async function batch(scripts: Script[], request: Partial<BatchRequest> = {}, signal = new AbortController().signal) {
  await using stack = new AsyncDisposableStack()
  const miners: ScriptedMiner[] = []
  for (const [i, script] of scripts.entries()) {
    const act = async (peer: Peer) => void (await script(peer))
    miners.push(stack.use(await startScriptedMiner(hotkeyFromUri(`//miner/${i}`), act)))
  }
  const neurons = [
    neuron(0, VALIDATOR, 9),
    ...miners.map((miner, i) => neuron(i + 1, miner.hotkey, miner.port)),
    neuron(miners.length + 1, hotkeyFromUri('//idle'), undefined),
  ]
  const chain = { metagraph: async (netuid: number) => ({ netuid, block: 1, neurons }) }
  const report = await runBatch(
    {
      ...{ netuid: NETUID, allowPrivate: true, benchmark: RIGHT, scoring: { name: '2024' }, limits: PATIENT },
      ...{ starts: { atOnce: 1_000, perSecond: 10_000 }, maxJobsPerMiner: 4, gatherMs: 1_000 },
      ...{ deadlineMs: 20_000, leaveOpen: false, reconnect: AT_ONCE },
      ...request,
    },
    { chain, hotkey: VALIDATOR, db: database().db, clock: systemClock, log: silentLog },
    signal,
  )
  for (const miner of miners) expect(miner.mistakes).toEqual([])
  const rows = await database().db.select().from(jobs).where(eq(jobs.batchId, report.id))
  const [row] = await database().db.select().from(batches).where(eq(batches.id, report.id))
  return { report, miners, rows, row }
}

describe('runBatch', () => {
  it('gives every serving miner one job at once, each standing alone', async () => {
    const good: Script = peer => play.finished(peer)
    const scripts: [Script, string][] = [
      [good, 'finished'],
      [async peer => [peer.say(MANIFEST), await play.finished(peer)], 'finished'],
      [peer => play.finished(peer, 'wrong'), 'finished wrong-answer'],
      [peer => play.offered(peer).then(() => peer.sayOfJob('V0DeclineJobRequest')), 'rejected declined'],
      [peer => play.accepted(peer).then(() => peer.sayOfJob('V0ExecutorFailedRequest')), 'broken prepare-failed'],
      [peer => play.accepted(peer), 'broken prepare-timed-out'],
      [peer => play.working(peer), 'broken run-timed-out'],
      [async peer => [peer.say('nonsense'), await play.finished(peer)], 'finished'],
      [
        async peer => [peer.say({ message_type: 'GenericError', details: 'no' }), peer.close()],
        'broken not-authorized',
      ],
      [peer => play.offered(peer).then(() => peer.cut()), 'broken no-answer'],
      ...Array.from({ length: 20 }, (): [Script, string] => [good, 'finished']),
    ]
    const { report, miners, rows, row } = await batch(
      scripts.map(([script]) => script),
      { deadlineMs: 5_000 },
    )
    expect(report.jobs.map(({ end }) => [end?.state, end?.reason].filter(Boolean).join(' '))).toEqual(
      scripts.map(([, outcome]) => outcome),
    )
    expect(report.jobs.map(({ miner }) => miner.uid)).toEqual(scripts.map((_, i) => i + 1))
    expect(new Set(report.jobs.map(({ uuid }) => uuid)).size).toBe(scripts.length)
    expect(rows).toHaveLength(scripts.length)
    for (const { uuid, end } of report.jobs) {
      expect(rows.find(each => each.uuid === uuid)).toMatchObject({ state: end?.state, score: end?.score })
    }
    expect(report.counts).toBe(true)
    expect(row).toMatchObject({ netuid: NETUID, benchmark: 'word', counts: true, scoredAt: null })
    expect(row?.closedAt).toBeInstanceOf(Date)
    expect(talk(miners[0] as ScriptedMiner)).toEqual([
      '1 V0AuthenticateRequest',
      '1 V0InitialJobRequest',
      '1 V0JobRequest',
    ])
  })

  it('closes at its deadline, whatever is still out', async () => {
    const startedAt = performance.now()
    const { report, row } = await batch([peer => play.offered(peer), peer => play.finished(peer)], {
      deadlineMs: 2_000,
    })
    expect(performance.now() - startedAt).toBeLessThan(PATIENT.acceptMs)
    expect(report.jobs.map(({ end }) => end?.reason)).toEqual(['no-answer', null])
    expect(row?.closedAt).toBeInstanceOf(Date)
  })

  it('does not count when it is stopped', async () => {
    const stop = new AbortController()
    const { report, row } = await batch(
      [
        async peer => {
          await play.working(peer)
          stop.abort()
        },
      ],
      {},
      stop.signal,
    )
    expect(report.jobs.map(({ end }) => end?.reason)).toEqual(['stopped'])
    expect(report.counts).toBe(false)
    expect(row).toMatchObject({ counts: false })
  })

  it('does not dial private addresses unless it may', async () => {
    const { report, miners } = await batch([peer => play.finished(peer)], { allowPrivate: false })
    expect(report.jobs).toEqual([])
    expect(miners[0]?.connections()).toBe(0)
  })
})
