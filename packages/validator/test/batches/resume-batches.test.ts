import { randomUUID } from 'node:crypto'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import type { OpenState } from '@horde/protocol/job-state'
import { MANIFEST, messageTypes, type Peer, play, startScriptedMiner } from '@horde/testing/peers/scripted-miner'
import { eq } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'
import { resumeBatches } from '../../src/batches/run-batch.ts'
import { openBatch } from '../../src/batches/stored-batch.ts'
import type { HostMoment } from '../../src/db/json-columns.ts'
import { batches, jobs } from '../../src/db/schema.ts'
import { hostClockOf } from '../../src/jobs/timing/work-timer.ts'
import type { Scoring } from '../../src/scoring/job-score.ts'
import { withDatabase } from '../db/databases.ts'
import { PATIENT, unknownDialects, VALIDATOR, WORK } from '../jobs/drive.ts'
import { requestOf, runScripts, type Script } from './run-scripts.ts'

const database = withDatabase()
/** Time enough to send a manifest on a busy machine. */
const LIMITS = { ...PATIENT, manifestMs: 500 }
let netuid = 400

const answer = (peer: Peer, uuid: string, stdout = 'right') =>
  peer.send({
    message_type: 'V0JobFinishedRequest',
    job_uuid: uuid,
    docker_process_stdout: stdout,
    docker_process_stderr: '',
  })

const finishNow = async (peer: Peer, uuid: string) => {
  peer.send(MANIFEST)
  peer.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
  await peer.receive('V0InitialJobRequest')
  await peer.receive('V0JobRequest')
  answer(peer, uuid)
}

/** Resumes a job from this state, on a miner that runs this script on the next connection. */
async function resume(
  state: OpenState,
  script: (peer: Peer, uuid: string) => Promise<unknown> | unknown,
  {
    deadlineMs = 20_000,
    benchmark = 'word',
    scoring = { name: '2024' } as Scoring,
    /** When the killed process sent the work, as stored in the row. */
    workSent = null as HostMoment | null,
  } = {},
) {
  netuid += 1
  const { db } = database()
  const uuid = randomUUID()
  await using miner = await startScriptedMiner(
    hotkeyFromUri('//resumed'),
    async peer => void (await script(peer, uuid)),
  )
  const startedAt = new Date(Date.now() - 1_000)
  const deadline = new Date(Date.now() + deadlineMs)
  const row = { uuid, minerHotkey: miner.hotkey.ss58, minerUid: 1, minerAddress: miner.address, deadline }
  const challenge = { benchmark, work: WORK }
  const newJobs = [{ ...row, challenge, timeoutSeconds: 5 }]
  const newBatch = { netuid, benchmark: 'word', scoring: '2024' as const, startedAt, deadline, jobs: newJobs }
  const { id } = (await openBatch(db, newBatch)).batch
  await db.update(jobs).set({ state, runningAt: startedAt, workSent }).where(eq(jobs.uuid, uuid))

  const deps = { hotkey: VALIDATOR, dialects: unknownDialects(), db, clock: systemClock, hostClock, log: silentLog }
  const reports = await resumeBatches(
    requestOf({ netuid, scoring, limits: LIMITS }),
    deps,
    new AbortController().signal,
  )
  expect(reports).toHaveLength(1)
  expect(miner.mistakes).toEqual([])
  const [job] = await db.select().from(jobs).where(eq(jobs.uuid, uuid))
  const [batch] = await db.select().from(batches).where(eq(batches.id, id))
  expect(batch?.closedAt).toBeInstanceOf(Date)
  expect(batch?.counts).toBe(true)
  if (!job) throw new Error('the job has no row')
  return { job, gist: [job.state, job.reason, job.score, job.rightAnswer], received: messageTypes(miner) }
}

const hostClock = hostClockOf(systemClock)
/** Stores the job as an earlier process would have. */
const sentBefore = (ms: number) => hostClock?.toHost(systemClock.monotonic() - ms) ?? null
const OFFERED_AGAIN = ['1 V0AuthenticateRequest', '1 V0InitialJobRequest']

describe('an open job of a killed validator', () => {
  it('is excused when its right answer came meanwhile, because the time was not measured', async () => {
    const { job, gist, received } = await resume('running', (peer, uuid) => {
      peer.send(MANIFEST)
      answer(peer, uuid)
    })
    expect(gist).toEqual(['finished', 'validator-away', null, true])
    expect(job.seconds).toBeNull()
    expect(received[0]).toBe('1 V0AuthenticateRequest')
  })

  it('gets its answer again when the killed process had received it: the repeated offer asks for it', async () => {
    const { gist, received } = await resume('running', async (peer, uuid) => {
      peer.send(MANIFEST)
      expect((await peer.receive('V0InitialJobRequest')).job_uuid).toBe(uuid)
      answer(peer, uuid)
    })
    expect(gist).toEqual(['finished', 'validator-away', null, true])
    expect(received).toEqual(OFFERED_AGAIN)
  })

  describe('with the stored moment at which its work was sent', () => {
    const stillOpen = async (peer: Peer, uuid: string) => {
      peer.send(MANIFEST)
      await peer.receive('V0InitialJobRequest')
      peer.send({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
      answer(peer, uuid)
    }

    it('measures from that moment when the miner still runs it', async () => {
      const { job } = await resume('running', stillOpen, { workSent: sentBefore(2_000) })
      expect(job).toMatchObject({ state: 'finished', reason: null, rightAnswer: true, score: expect.any(Number) })
      expect(job.seconds).toBeGreaterThan(2)
      expect(job.seconds).toBeLessThan(2 + WORK.timeoutSeconds)
    })

    it('scores 0 when the answer is too late by that moment', async () => {
      const { gist } = await resume('running', stillOpen, { workSent: sentBefore(1_000_000) })
      expect(gist).toEqual(['finished', 'time-limit', 0, true])
    })

    it('excuses an answer that the miner sent before it accepted again: no process may have listened', async () => {
      const early = (peer: Peer, uuid: string) => {
        peer.send(MANIFEST)
        answer(peer, uuid)
      }
      const { gist } = await resume('running', early, { workSent: sentBefore(2_000) })
      expect(gist).toEqual(['finished', 'validator-away', null, true])
    })

    it('excuses the job when the host was rebooted meanwhile', async () => {
      const workSent = { boot: 'another', ms: sentBefore(2_000)?.ms ?? 0 }
      const { gist } = await resume('running', stillOpen, { workSent })
      expect(gist).toEqual(['finished', 'validator-away', null, true])
    })

    it('excuses the job, after another restart too, when another ready shows that the work was lost', async () => {
      const readyAgain = async (peer: Peer, uuid: string) => {
        peer.send(MANIFEST)
        peer.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
        await peer.receive('V0InitialJobRequest')
        peer.send({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
        await peer.receive('V0JobRequest')
        answer(peer, uuid)
      }
      const { gist, job } = await resume('running', readyAgain, { workSent: sentBefore(2_000) })
      expect(gist).toEqual(['finished', 'validator-away', null, true])
      expect(hostClock?.fromHost(job.workSent)).toBeUndefined()
    })
  })

  it('is not offered again to a v0 miner', async () => {
    const { gist, received } = await resume('running', (peer, uuid) => answer(peer, uuid))
    expect(gist).toEqual(['finished', 'validator-away', null, true])
    expect(received).toEqual(['1 V0AuthenticateRequest'])
  })

  it('scores 0 with a wrong answer', async () => {
    const { gist } = await resume('running', (peer, uuid) => answer(peer, uuid, 'wrong'))
    expect(gist).toEqual(['finished', 'wrong-answer', 0, false])
  })

  it('gets its work again when its executor is ready again, and is excused', async () => {
    const { gist, received } = await resume('running', async (peer, uuid) => {
      peer.send(MANIFEST)
      peer.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
      await peer.receive('V0InitialJobRequest')
      await peer.receive('V0JobRequest')
      answer(peer, uuid)
    })
    expect(gist).toEqual(['finished', 'validator-away', null, true])
    expect(received).toEqual([...OFFERED_AGAIN, '1 V0JobRequest'])
  })

  it.each(['offered', 'accepted'] as const)(
    '%s, with ready sent before the offer is repeated: measured',
    async state => {
      const { job, received } = await resume(state, async (peer, uuid) => {
        peer.send(MANIFEST)
        peer.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
        await peer.receive('V0InitialJobRequest')
        peer.send({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
        await peer.receive('V0JobRequest')
        answer(peer, uuid)
      })
      expect(job).toMatchObject({ state: 'finished', reason: null, rightAnswer: true, executorClass: 'always_on.test' })
      expect(job.score).toBeGreaterThan(1)
      expect(received).toEqual([...OFFERED_AGAIN, '1 V0JobRequest'])
    },
  )

  it('is excused when it was accepted and is answered: the killed process had sent its work', async () => {
    const { job, gist } = await resume('accepted', (peer, uuid) => answer(peer, uuid))
    expect(gist).toEqual(['finished', 'validator-away', null, true])
    expect(job.readyAt).toBeInstanceOf(Date)
  })

  it('is excused when it was accepted and ready comes with the answer: the killed process sent the work', async () => {
    const { gist } = await resume('accepted', (peer, uuid) => {
      peer.send(MANIFEST)
      peer.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
      answer(peer, uuid)
    })
    expect(gist).toEqual(['finished', 'validator-away', null, true])
  })

  it('is scored by the scoring of its batch when the setting has changed', async () => {
    const scoring = { name: 'efficiency', exponent: 1.2, cap: 16 } as const
    const { job } = await resume('accepted', (peer, uuid) => finishNow(peer, uuid), { scoring })
    expect(job.score).toBeGreaterThan(1)
    expect(job.score).toBeLessThanOrEqual(2)
  })

  it('has no score when it was offered and is declined: the miner may have declined before', async () => {
    const { gist } = await resume('offered', async peer => {
      peer.send(MANIFEST)
      await play.offered(peer)
      peer.sendForJob('V0DeclineJobRequest')
    })
    expect(gist).toEqual(['rejected', 'declined', null, null])
  })

  it('ends with the batch on a silent miner, and is excused', async () => {
    const { gist } = await resume('accepted', () => {}, { deadlineMs: 1_500 })
    expect(gist).toEqual(['broken', 'prepare-timed-out', null, null])
  })

  it('is excused when its benchmark is no longer used', async () => {
    const { gist } = await resume('running', (peer, uuid) => answer(peer, uuid), { benchmark: 'another' })
    expect(gist).toEqual(['broken', 'abandoned', null, null])
  })
})

it('adds the jobs of a miner whose manifest the killed process had not read', async () => {
  const manifest = { executor_classes: [{ executor_class: 'always_on.test', count: 3 }] }
  const { job, received } = await resume(
    'offered',
    async (peer, uuid) => {
      peer.send({ ...MANIFEST, manifest })
      for (let i = 0; i < 3; i += 1) {
        const offer = await peer.receive('V0InitialJobRequest')
        peer.send({ message_type: 'V0AcceptJobRequest', job_uuid: offer.job_uuid })
      }
      peer.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
      answer(peer, (await peer.receive('V0JobRequest')).job_uuid)
    },
    { deadlineMs: 2_500 },
  )
  expect(job).toMatchObject({ state: 'finished', rightAnswer: true, executorClass: 'always_on.test' })
  expect(received.filter(line => line.endsWith('V0InitialJobRequest'))).toHaveLength(3)
  const rows = await database()
    .db.select()
    .from(jobs)
    .where(eq(jobs.batchId, job.batchId ?? 0))
  expect(rows.map(({ state }) => state).toSorted()).toEqual(['broken', 'broken', 'finished'])
})

it('resumes a batch that was open at a stop, and counts it', async () => {
  netuid += 1
  const { db } = database()
  const stop = new AbortController()
  const uuids: string[] = []
  const script: Script = async peer => {
    if (peer.connection > 1) return answer(peer, uuids[0] ?? '')
    uuids.push((await play.working(peer)).job_uuid)
    stop.abort()
  }
  const deps = { hotkey: VALIDATOR, dialects: unknownDialects(), db, clock: systemClock, log: silentLog }
  const resumed = () => resumeBatches(requestOf({ netuid }), deps, new AbortController().signal)
  const { report, row, later } = await runScripts([script], db, { netuid, keepOpen: true }, stop.signal, resumed)
  expect(report.jobs.map(({ end }) => end)).toEqual([undefined])
  expect(row).toMatchObject({ closedAt: null, counts: true })
  expect(later).toMatchObject([{ id: report.id, counts: true, jobs: [{ end: { state: 'finished' } }] }])
  const [job] = await db.select().from(jobs).where(eq(jobs.batchId, report.id))
  expect(job).toMatchObject({ uuid: uuids[0], state: 'finished', rightAnswer: true })
  expect(await resumed()).toEqual([])
})
