import { randomUUID } from 'node:crypto'
import { manualClock, systemClock } from '@horde/kit/time'
import { CLASSES, DEFAULT_CLASS } from '@horde/protocol/classes'
import { jobUuid } from '@horde/protocol/primitives'
import {
  MANIFEST,
  messageTypes,
  type Peer,
  play,
  type ScriptedMiner,
  startScriptedMiner,
} from '@horde/testing/peers/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'
import { openBatch } from '../../src/batches/stored-batch.ts'
import { syntheticJob } from '../../src/benchmarks/synthetic-job.ts'
import { Journal } from '../../src/db/journal.ts'
import type { ChannelEvent, JobChannel } from '../../src/jobs/job-channel.ts'
import { JobDriver } from '../../src/jobs/job-driver.ts'
import { openJobs } from '../../src/jobs/transition.ts'
import { withDatabase } from '../db/databases.ts'
import { type DriveOptions, drive, listeningLog, MINER, PATIENT, RIGHT, WORK } from './drive.ts'

const database = withDatabase()

/** Drives one job on a miner with this script. */
async function run(
  script: (peer: Peer) => Promise<void> | void,
  options: Partial<DriveOptions> = {},
): Promise<
  Awaited<ReturnType<typeof drive>> & { miner: ScriptedMiner; received: string[]; lines: Record<string, unknown>[] }
> {
  const { log, lines } = listeningLog()
  await using miner = await startScriptedMiner(MINER, script)
  const result = await drive(miner, { db: database().db, log, ...options })
  expect(miner.mistakes).toEqual([])
  return { ...result, miner, received: messageTypes(miner), lines }
}

/** Returns state, reason and score. Checks that the database row has the same. */
const gist = ({ end, stored }: Awaited<ReturnType<typeof run>>) => {
  expect(stored).toMatchObject({
    state: end?.state,
    reason: end?.reason,
    score: end?.score,
    rightAnswer: end?.rightAnswer,
  })
  expect(stored.endedAt).toBeInstanceOf(Date)
  return [end?.state, end?.reason, end?.score]
}

const CONNECTED = {
  ...({ type: 'connected', connection: 1, dialect: 'v0', hasReadNothing: false, obstacle: () => undefined } as const),
  ...{ repeats: true, reportsStages: false },
}
const UP_TO_OFFER = ['1 V0AuthenticateRequest', '1 V0InitialJobRequest']
const UP_TO_WORK = [...UP_TO_OFFER, '1 V0JobRequest']

describe('a good job', () => {
  it('passes every state, and is scored by its time', async () => {
    const result = await run(async peer => void (await play.finished(peer)))
    const { end, stored, received, lines } = result
    expect(end).toMatchObject({ state: 'finished', reason: null, rightAnswer: true, stdout: 'right' })
    expect(end?.seconds).toBeGreaterThan(0)
    expect(end?.seconds).toBeLessThan(5)
    expect(end?.score).toBeCloseTo(2 * (1 - (end?.seconds ?? 0) / 10), 10)
    expect(received).toEqual(UP_TO_WORK)
    expect(stored).toMatchObject({ score: end?.score, seconds: end?.seconds, image: 'word:v0', executorClass: null })
    const moments = [stored.createdAt, stored.acceptedAt, stored.readyAt, stored.runningAt, stored.endedAt]
    expect(moments.map(Number)).toEqual(moments.map(Number).toSorted((a, b) => a - b))
    expect(lines.filter(line => line.msg === 'job moved').map(({ from, to }) => `${from} ${to}`)).toEqual([
      'offered accepted',
      'accepted ready',
      'ready running',
      'running finished',
    ])
  })

  it('offers a job to a v0 miner without a class and without any of the work', async () => {
    const { miner, uuid } = await run(async peer => void (await play.finished(peer)))
    expect(miner.received[1]?.message).toEqual({
      message_type: 'V0InitialJobRequest',
      job_uuid: uuid,
      base_docker_image_name: 'word:v0',
      timeout_seconds: 5,
      volume_type: 'inline',
    })
    expect(miner.received[2]?.message).toEqual({
      message_type: 'V0JobRequest',
      job_uuid: uuid,
      docker_image_name: 'word:v0',
      raw_script: null,
      docker_run_options_preset: 'nvidia_all',
      docker_run_cmd: ['say', 'right'],
      volume: { volume_type: 'inline', contents: 'UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==' },
      output_upload: null,
    })
  })

  it('names its executor class, and sends the work with the preset of the class', async () => {
    const { miner, stored } = await run(async peer => void (await play.finished(peer)), {
      executorClass: 'always_on.test',
    })
    expect(miner.received[1]?.message).toMatchObject({ executor_class: 'always_on.test' })
    expect(miner.received[2]?.message).toMatchObject({ docker_run_options_preset: 'none' })
    expect(stored.executorClass).toBe('always_on.test')
  })

  it('matches its uuid in any case, and ignores messages about other jobs', async () => {
    const uuid = '9A74BE09-D985-4A66-9D28-554F00AD7CFA'
    const other = '11111111-d985-4a66-9d28-554f00ad7cfa'
    const result = await run(
      async peer => {
        const offer = await play.offered(peer)
        expect(offer.job_uuid).toBe(uuid)
        peer.send({ message_type: 'V0DeclineJobRequest', job_uuid: other })
        peer.send({ message_type: 'V0AcceptJobRequest', job_uuid: uuid.toLowerCase() })
        peer.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid.toLowerCase() })
        await peer.receive('V0JobRequest')
        const texts = { docker_process_stdout: 'wrong', docker_process_stderr: '' }
        peer.send({ message_type: 'V0JobFinishedRequest', job_uuid: other, ...texts })
        peer.sendForJob('V0JobFinishedRequest', { ...texts, docker_process_stdout: 'right' })
      },
      { uuid },
    )
    expect(result.end).toMatchObject({ state: 'finished', rightAnswer: true })
    expect(result.lines.filter(line => line.msg === 'message about an unknown job ignored')).toHaveLength(2)
  })

  it('survives a repeated ready, invalid frames, errors and numbers sent as text', async () => {
    const result = await run(async peer => {
      await play.offered(peer)
      peer.send('{"message_type":"V0Nonsense"}')
      peer.send('not json at all')
      peer.send({ message_type: 'GenericError', details: null })
      peer.sendForJob('V0AcceptJobRequest', { unknown: 'field' })
      for (let i = 0; i < 2; i++) await peer.receive('GenericError')
      peer.sendForJob('V0ExecutorReadyRequest')
      peer.sendForJob('V0ExecutorReadyRequest')
      await peer.receive('V0JobRequest')
      peer.sendForJob('V0ExecutorReadyRequest')
      peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: 7 })
    })
    expect(result.end).toMatchObject({ state: 'finished', rightAnswer: true, stderr: '7' })
    expect(result.received).toEqual([...UP_TO_OFFER, '1 GenericError', '1 GenericError', '1 V0JobRequest'])
  })
})

describe('a job that ends badly', () => {
  it('is rejected when the miner declines', async () => {
    const result = await run(async peer => {
      await play.offered(peer)
      peer.sendForJob('V0DeclineJobRequest')
    })
    expect(gist(result)).toEqual(['rejected', 'declined', 0])
    expect(result.received).toEqual(UP_TO_OFFER)
  })

  it('is broken when the executor could not prepare', async () => {
    const result = await run(async peer => {
      await play.accepted(peer)
      peer.sendForJob('V0ExecutorFailedRequest')
    })
    expect(gist(result)).toEqual(['broken', 'prepare-failed', 0])
    expect(result.received).toEqual(UP_TO_OFFER)
  })

  it.each([
    ['the offer', play.offered, { acceptMs: 150 }, 'no-answer', UP_TO_OFFER],
    ['the acceptance', play.accepted, { readySlackMs: 150 - 3_000 }, 'prepare-timed-out', UP_TO_OFFER],
    ['the work', play.working, { resultGraceMs: 150 - 5_000 }, 'run-timed-out', UP_TO_WORK],
  ] as const)('is broken by silence after %s', async (_, stage, limits, reason, received) => {
    const result = await run(async peer => void (await stage(peer)), { limits })
    expect(gist(result)).toEqual(['broken', reason, 0])
    expect(result.received).toEqual(received)
  })

  it('ends at the deadline of its batch in every stage', async () => {
    const result = await run(async peer => void (await play.accepted(peer)), { withinMs: 1_500 })
    expect(gist(result)).toEqual(['broken', 'prepare-timed-out', 0])
  })

  it('scores 0 for a wrong answer', async () => {
    const result = await run(async peer => void (await play.finished(peer, 'wrong')))
    expect(gist(result)).toEqual(['finished', 'wrong-answer', 0])
    expect(result.stored.stdout).toBe('wrong')
  })

  it('scores 0 for a right answer that is late', async () => {
    let later = 0
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + later }
    const result = await run(
      async peer => {
        await play.working(peer)
        later = 6_100
        peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
      },
      { clock },
    )
    expect(gist(result)).toEqual(['finished', 'time-limit', 0])
    expect(result.end?.seconds).toBeGreaterThan(6)
    expect(result.end?.rightAnswer).toBe(true)
  })

  it.each([
    [3, 'exit-status', 5],
    [null, 'not-run', 5],
    [null, 'time-limit', 0],
  ] as const)('fails with exit status %s, for the reason %s', async (status, reason, timeoutSeconds) => {
    const result = await run(
      async peer => {
        await play.working(peer)
        const texts = { docker_process_stdout: 'out\0put', docker_process_stderr: 'err' }
        peer.sendForJob('V0JobFailedRequest', { docker_process_exit_status: status, ...texts })
      },
      { work: { timeoutSeconds } },
    )
    expect(gist(result)).toEqual(['failed', reason, 0])
    expect(result.stored).toMatchObject({ exitStatus: status, stdout: 'out\ufffdput', stderr: 'err' })
  })

  it('rejects a right answer that arrived before the work was sent', async () => {
    const result = await run(async peer => {
      await play.ready(peer)
      peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
      await peer.receive('V0JobRequest')
    })
    expect(gist(result)).toEqual(['finished', 'out-of-order', 0])
  })

  it('is broken by a result before it is ready, and the work is not sent', async () => {
    const result = await run(async peer => {
      await play.accepted(peer)
      peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
    })
    expect(gist(result)).toEqual(['broken', 'out-of-order', 0])
    expect(result.received).toEqual(UP_TO_OFFER)
  })

  it.each([
    ['GenericError and a close', { message_type: 'GenericError', details: 'Unknown validator' }],
    ['UnauthorizedError', { message_type: 'UnauthorizedError', code: 'UNKNOWN_VALIDATOR', details: null }],
  ])('ends as not authorized after %s, without another attempt', async (_, complaint) => {
    const result = await run(peer => {
      peer.send(complaint)
      peer.close()
    })
    expect(gist(result)).toEqual(['broken', 'not-authorized', 0])
    expect(result.miner.connections()).toBe(1)
    expect(result.received).not.toContain('1 V0JobRequest')
  })

  it('gives up on an unreachable miner after six attempts', async () => {
    const { log } = listeningLog()
    const gone = await startScriptedMiner(MINER, () => {})
    await gone[Symbol.asyncDispose]()
    const { end } = await drive(gone, { db: database().db, log })
    expect([end?.state, end?.reason, end?.score]).toEqual(['broken', 'no-connection', 0])
  })

  it('gives up on a miner that closes six connections at once', async () => {
    const result = await run(peer => peer.close(1011), {})
    expect(gist(result)).toEqual(['broken', 'connection-lost', 0])
    expect(result.miner.connections()).toBe(6)
  })

  it('ends as stopped when the signal aborts while it runs', async () => {
    const stop = new AbortController()
    const result = await run(
      async peer => {
        await play.working(peer)
        stop.abort()
      },
      { signal: stop.signal },
    )
    expect(gist(result)).toEqual(['broken', 'stopped', 0])
  })

  it('does not accept a frame beyond the limit', async () => {
    const result = await run(
      async peer => {
        if (peer.connection === 1) await play.finished(peer, 'x'.repeat(200_000))
      },
      { limits: { resultGraceMs: 500 - 5_000 } },
    )
    expect(gist(result)).toEqual(['broken', 'run-timed-out', 0])
  })
})

describe('a lost connection', () => {
  it('is restored without another offer, and the result still counts', async () => {
    const result = await run(async peer => {
      if (peer.connection === 1) {
        await play.working(peer)
        peer.cut()
      } else peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
    })
    expect(result.end).toMatchObject({ state: 'finished', rightAnswer: true })
    expect(result.received).toEqual([...UP_TO_WORK, '2 V0AuthenticateRequest'])
  })

  it('before the answer to the offer is restored, and ready on the next connection implies acceptance', async () => {
    const result = await run(async peer => {
      if (peer.connection === 1) {
        await play.offered(peer)
        return peer.cut()
      }
      peer.sendForJob('V0ExecutorReadyRequest')
      await peer.receive('V0JobRequest')
      peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
    })
    expect(result.end).toMatchObject({ state: 'finished', rightAnswer: true })
    expect(result.received).toEqual([...UP_TO_OFFER, '2 V0AuthenticateRequest', '2 V0JobRequest'])
    expect(result.stored.acceptedAt).toBeInstanceOf(Date)
  })

  it('does not matter: ready alone implies acceptance, on the connection of the offer too', async () => {
    const result = await run(async peer => {
      await play.offered(peer)
      peer.sendForJob('V0ExecutorReadyRequest')
      await peer.receive('V0JobRequest')
      peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
    })
    expect(result.end).toMatchObject({ state: 'finished', rightAnswer: true })
    expect(result.received).toEqual(UP_TO_WORK)
    expect(result.stored.acceptedAt).toBeInstanceOf(Date)
  })

  describe('repeatedly', () => {
    /** The wait before the second retry is longer than any job may take. */
    const reconnect = { minMs: 1, maxMs: 1_000_000, factor: 1_000_000 }
    const READY_MS = CLASSES[DEFAULT_CLASS].spinUpSeconds * 1000 + PATIENT.readySlackMs

    it('resets the retry counter after a message that moved the job', async () => {
      const result = await run(
        async peer => {
          if (peer.connection === 1) {
            await play.accepted(peer)
            return peer.cut()
          }
          if (peer.connection === 2) {
            peer.sendForJob('V0ExecutorReadyRequest')
            await peer.receive('V0JobRequest')
            return peer.cut()
          }
          peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
        },
        { reconnect },
      )
      expect(result.end).toMatchObject({ state: 'finished', rightAnswer: true })
    })

    it.each([
      ['a manifest', (peer: Peer) => peer.send(MANIFEST)],
      ['a repeat', (peer: Peer) => peer.sendForJob('V0AcceptJobRequest')],
      ['an error', (peer: Peer) => peer.send({ message_type: 'GenericError', details: 'no' })],
    ])('does not reset the retry counter after %s', async (_, act) => {
      using turns = turnClock()
      const sleep = (ms: number, signal?: AbortSignal) => {
        // The job's time ends during the long wait.
        if (ms === reconnect.maxMs) turns.skip(READY_MS)
        return turns.sleep(ms, signal)
      }
      const result = await run(
        async peer => {
          if (peer.connection === 1) await play.accepted(peer)
          else act(peer)
          peer.cut()
        },
        { reconnect, clock: { ...turns, sleep } },
      )
      expect(gist(result)).toEqual(['broken', 'connection-lost', 0])
      expect(result.miner.connections()).toBe(2)
    })
  })

  it('during the work makes the validator send it again after another ready, on the same clock', async () => {
    let later = 0
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + later }
    const result = await run(
      async peer => {
        if (peer.connection === 1) {
          await play.working(peer)
          later = 2_000
          return peer.cut()
        }
        peer.sendForJob('V0ExecutorReadyRequest')
        peer.sendForJob('V0ExecutorReadyRequest')
        await peer.receive('V0JobRequest')
        peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
      },
      { clock },
    )
    expect(result.end).toMatchObject({ state: 'finished', rightAnswer: true })
    expect(result.end?.seconds).toBeGreaterThan(2)
    expect(result.received).toEqual([...UP_TO_WORK, '2 V0AuthenticateRequest', '2 V0JobRequest'])
  })

  it('that is not restored ends the job as lost', async () => {
    const result = await run(async peer => {
      if (peer.connection === 1) await play.working(peer)
      peer.cut()
    })
    expect(gist(result)).toEqual(['broken', 'connection-lost', 0])
    expect(result.miner.connections()).toBe(6)
    expect(result.received.filter(line => line.endsWith('V0InitialJobRequest'))).toHaveLength(1)
  })

  it('does not stretch the deadline of the stage', async () => {
    const result = await run(
      async peer => {
        if (peer.connection === 1) {
          await play.working(peer)
          peer.cut()
        }
      },
      { limits: { resultGraceMs: 1_500 - 5_000 } },
    )
    expect(gist(result)).toEqual(['broken', 'run-timed-out', 0])
    expect(result.received).toEqual([...UP_TO_WORK, '2 V0AuthenticateRequest'])
  })
})

describe('a validator process that is blocked for a while', () => {
  /** Blocks the whole process, as a busy machine does. */
  const block = (ms: number) => {
    const until = performance.now() + ms
    while (performance.now() < until);
  }

  it('still accepts messages that arrived before the stage ended', async () => {
    const result = await run(
      async peer => {
        await play.offered(peer)
        peer.sendForJob('V0AcceptJobRequest')
        block(1_000)
        peer.sendForJob('V0ExecutorReadyRequest')
        await peer.receive('V0JobRequest')
        peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
      },
      { limits: { acceptMs: 500 }, clock: systemClock },
    )
    expect(gist(result)).toEqual(['finished', null, expect.any(Number)])
  })

  it('starts a stage at the arrival of its first message, even when it is read late', async () => {
    const uuid = jobUuid.parse(randomUUID())
    const clock = manualClock()
    const event = (type: 'accept' | 'ready', at: number): ChannelEvent => ({
      ...{ type: 'message', report: { type, jobUuid: uuid }, connection: 1, at },
    })
    const events: [readAt: number, event: ChannelEvent][] = [
      [0, CONNECTED],
      [700, event('accept', 10)],
      [3_600, event('ready', 3_500)],
    ]
    const channel: JobChannel = {
      async next(ms) {
        const [readAt, event] = events.shift() ?? [clock.monotonic() + ms, undefined]
        await clock.advance(readAt - clock.monotonic())
        return event
      },
      send: async () => 1,
      notify: async () => {},
      moved: () => {},
      [Symbol.dispose]: () => {},
    }
    const { db } = database()
    const { log } = listeningLog()
    const row = { uuid, minerHotkey: MINER.ss58, minerUid: 1, minerAddress: '127.0.0.2:1' }
    const now = new Date()
    await openBatch(db, { netuid: 1, benchmark: 'word', startedAt: now, deadline: now, jobs: [row] })
    const job = syntheticJob(
      {
        ...{ uuid, benchmark: RIGHT, work: WORK, executorClass: 'always_on.test', scoring: { name: '2024' } },
        ...{ limits: { ...PATIENT, readySlackMs: 0 }, endsAt: 60_000, keepOpen: false },
      },
      log,
    )
    const { signal } = new AbortController()
    await using journal = new Journal({ db, clock: systemClock, log }, signal)
    const end = await new JobDriver(job, { channel, journal, clock, log }, signal).drive()
    expect([end?.state, end?.reason]).toEqual(['broken', 'prepare-timed-out'])
  })
})

describe('a hostile miner cannot hold its job open', () => {
  it('by reading nothing from its socket', async () => {
    const result = await run(
      async peer => {
        await play.accepted(peer)
        peer.stopReading()
        peer.sendForJob('V0ExecutorReadyRequest')
      },
      { withinMs: 1_500, work: { command: ['x'.repeat(30_000_000)] } },
    )
    expect(gist(result)).toEqual(['broken', 'work-not-sent', 0])
  })

  it('by sending invalid frames without end', async () => {
    const result = await run(
      async peer => {
        await play.accepted(peer)
        for (let i = 0; i < 500; i++) peer.send('nonsense')
      },
      { withinMs: 1_500 },
    )
    expect(gist(result)).toEqual(['broken', 'prepare-timed-out', 0])
    const complaints = result.received.filter(line => line.endsWith('GenericError'))
    expect(complaints.length).toBeGreaterThan(0)
    expect(complaints.length).toBeLessThan(100)
  })

  it('by repeating a message without end', async () => {
    const { db } = database()
    const uuid = jobUuid.parse(randomUUID())
    const row = { uuid, minerHotkey: 'bob', minerUid: 1, minerAddress: 'nowhere' }
    await openJobs(db, [row], { batchId: null, at: new Date() })
    const { log } = listeningLog()
    const clock = manualClock()
    const events: ChannelEvent[] = [CONNECTED]
    const channel: JobChannel = {
      async next() {
        await clock.advance(10)
        if (clock.monotonic() > 60_000) throw new Error('still received')
        const report = { type: 'accept' as const, jobUuid: uuid }
        return events.shift() ?? { type: 'message', report, connection: 1, at: clock.monotonic() }
      },
      send: async () => 1,
      notify: async () => {},
      moved: () => {},
      [Symbol.dispose]: () => {},
    }
    const job = syntheticJob(
      {
        ...{ uuid, benchmark: RIGHT, work: WORK, executorClass: undefined, scoring: { name: '2024' } },
        ...{ limits: PATIENT, endsAt: 1_000, keepOpen: false },
      },
      log,
    )
    const { signal } = new AbortController()
    const journal = new Journal({ db, clock: systemClock, log }, signal)
    const end = await new JobDriver(job, { channel, journal, clock, log }, signal).drive()
    expect([end?.state, end?.reason]).toEqual(['broken', 'prepare-timed-out'])
  })
})

describe('a database that is away for a moment', () => {
  it('does not change the result of a job', async () => {
    const { db } = database()
    const away = { on: false, refused: 0 }
    const execute = ((query: never) => {
      if (!away.on) return db.execute(query)
      away.refused += 1
      if (away.refused >= 2) away.on = false
      throw new Error('the database is away')
    }) as typeof db.execute
    const shaky = new Proxy(db, {
      get: (target, key) => (key === 'execute' ? execute : Reflect.get(target, key, target)),
    })
    const result = await run(
      async peer => {
        await play.working(peer)
        away.on = true
        peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: 'right', docker_process_stderr: '' })
      },
      { db: shaky },
    )
    expect(away.refused).toBe(2)
    expect(result.end).toMatchObject({ state: 'finished', rightAnswer: true })
    expect(result.stored).toMatchObject({ state: 'finished', score: result.end?.score })
  })

  it('stores values from a miner that do not fit their columns', async () => {
    const result = await run(async peer => {
      await play.working(peer)
      const texts = { docker_process_stdout: '', docker_process_stderr: '' }
      peer.sendForJob('V0JobFailedRequest', { docker_process_exit_status: 2 ** 40, ...texts })
    })
    expect(gist(result)).toEqual(['failed', 'exit-status', 0])
    expect(result.stored.exitStatus).toBeNull()
  })
})

it('stops driving a job once another process has finalised it', async () => {
  const { db } = database()
  const startedAt = performance.now()
  const result = await run(async peer => {
    const offer = await play.offered(peer)
    await db.execute(sql`update jobs set state = 'broken', reason = 'abandoned' where uuid = ${offer.job_uuid}`)
    peer.sendForJob('V0AcceptJobRequest')
  })
  expect(result.end).toBeUndefined()
  expect(result.stored).toMatchObject({ state: 'broken', reason: 'abandoned', endedAt: null })
  expect(performance.now() - startedAt, 'at once, not at a deadline').toBeLessThan(PATIENT.readySlackMs)
  expect(result.lines.map(line => line.msg)).toContain('job dropped: another process has finalised it')
})
