import { MANIFEST, messageTypes, play, type ScriptedMiner } from '@horde/testing/peers/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { describe, expect, it } from 'vitest'
import { withDatabase } from '../db/databases.ts'
import { PATIENT } from '../jobs/drive.ts'
import { NETUID, runScripts, type Script } from './run-scripts.ts'

const database = withDatabase()

const batch = (scripts: Script[], request?: Parameters<typeof runScripts>[2], signal?: AbortSignal) =>
  runScripts(scripts, database().db, request, signal)

describe('runBatch', () => {
  it('gives every serving miner one job at once, and each ends independently', async () => {
    const good: Script = peer => play.finished(peer)
    const scripts: [Script, string][] = [
      [good, 'finished'],
      [async peer => [peer.send(MANIFEST), await play.finished(peer)], 'finished'],
      [peer => play.finished(peer, 'wrong'), 'finished wrong-answer'],
      [peer => play.offered(peer).then(() => peer.sendForJob('V0DeclineJobRequest')), 'rejected declined'],
      [peer => play.accepted(peer).then(() => peer.sendForJob('V0ExecutorFailedRequest')), 'broken prepare-failed'],
      [peer => play.accepted(peer), 'broken prepare-timed-out'],
      [peer => play.working(peer), 'broken run-timed-out'],
      [async peer => [peer.send('nonsense'), await play.finished(peer)], 'finished'],
      [
        async peer => [peer.send({ message_type: 'GenericError', details: 'no' }), peer.close()],
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
    expect(messageTypes(miners[0] as ScriptedMiner)).toEqual([
      '1 V0AuthenticateRequest',
      '1 V0InitialJobRequest',
      '1 V0JobRequest',
    ])
  })

  it('closes at its deadline with jobs still running', async () => {
    using clock = turnClock()
    const { report, row } = await batch([peer => play.offered(peer), peer => play.finished(peer)], {
      ...{ deadlineMs: 2_000, clock },
    })
    expect(clock.monotonic()).toBeLessThan(PATIENT.acceptMs)
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

  it('does not dial private addresses unless configured to', async () => {
    const { report, miners } = await batch([peer => play.finished(peer)], { allowPrivate: false })
    expect(report.jobs).toEqual([])
    expect(miners[0]?.connections()).toBe(0)
  })

  describe('an offer that a miner answers later than others may', () => {
    const limits = { ...PATIENT, acceptMs: 100, slowAcceptMs: 60_000 }
    /** Accepts the offer once `until` resolves, as a v0 miner does once its only executor is free. */
    const holding =
      (until: Promise<unknown>, manifest?: object): Script =>
      async peer => {
        if (manifest) peer.send(manifest)
        await play.offered(peer)
        await until
        peer.sendForJob('V0AcceptJobRequest')
        peer.sendForJob('V0ExecutorReadyRequest')
        await peer.receive('V0JobRequest')
        peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
      }

    it('stays open when the miner sent no manifest, without delaying other jobs', async () => {
      const othersDone = Promise.withResolvers<void>()
      let left = 3
      const quick: Script = async peer => {
        await play.finished(peer)
        left -= 1
        if (left === 0) othersDone.resolve()
      }
      const { report } = await batch([holding(othersDone.promise), quick, quick, quick], {
        ...{ limits, deadlineMs: 60_000, starts: { atOnce: 1, perSecond: 1_000 } },
      })
      expect(report.jobs.map(({ end }) => end?.reason)).toEqual([null, null, null, null])
    })

    it('is given up when the miner sent a manifest, because such a miner declines at once', async () => {
      const { report } = await batch([holding(new Promise(() => {}), MANIFEST)], {
        limits: { ...limits, manifestMs: 5_000 },
      })
      expect(report.jobs.map(({ end }) => end?.reason)).toEqual(['no-answer'])
    })

    it('stays open until the end of the batch at most', async () => {
      using clock = turnClock()
      const deadlineMs = 30_000
      const offered: Script = async peer => {
        await play.offered(peer)
        clock.skip(deadlineMs)
      }
      const { report } = await batch([offered], { limits, deadlineMs, clock })
      expect(report.jobs.map(({ end }) => end?.reason)).toEqual(['no-answer'])
      expect(clock.monotonic()).toBeLessThan(limits.slowAcceptMs)
    })
  })

  it('does not let a silent miner with many executors take all slots', async () => {
    const lists = (count: number) => ({
      ...MANIFEST,
      manifest: { executor_classes: [{ executor_class: 'always_on.test', count }] },
    })
    const silent: Script = async peer => peer.send(lists(4))
    const good: Script = async peer => {
      peer.send(lists(2))
      for (let i = 0; i < 2; i += 1) await play.finished(peer)
    }
    const { report } = await batch([silent, good], {
      ...{ limits: { ...PATIENT, manifestMs: 5_000 }, deadlineMs: 4_000, gatherMs: 3_000 },
      starts: { atOnce: 2, perSecond: 1_000 },
    })
    const reasons = (uid: number) => report.jobs.filter(({ miner }) => miner.uid === uid).map(({ end }) => end?.reason)
    expect(reasons(2)).toEqual([null, null])
    expect(reasons(1), 'the slots that are left').toEqual(['no-answer', 'no-answer', 'no-turn', 'no-turn'])
  })
})
