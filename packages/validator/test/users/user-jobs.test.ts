import { randomUUID } from 'node:crypto'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { MANIFEST, play, type Peer as V0Peer } from '@horde/testing/peers/scripted-miner'
import { cheatReport, userJob } from '@horde/testing/peers/v2026/facilitator'
import { MANIFEST_2026, type Peer2026, play2026 } from '@horde/testing/peers/v2026/scripted-miner'
import { eq } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'
import { jobs, userJobs } from '../../src/db/schema.ts'
import { triesOf } from '../../src/db/users/user-jobs.ts'
import { withDatabase } from '../db/databases.ts'
import { startUserWorld, type WorldOptions } from './user-world.ts'

const database = withDatabase()

const start = (options: Omit<WorldOptions, 'db'>) => startUserWorld({ db: database().db, ...options })

const TEXTS = { docker_process_stdout: 'out', docker_process_stderr: 'err' }
const NO_DETAILS = {
  ...{ miner_response: null, job_rejection_details: null, job_failure_details: null },
  ...{ horde_failure_details: null, streaming_details: null },
}
const STEPS = ['received', 'accepted', 'executor_ready', 'volumes_ready', 'execution_done']

/** An honest miner whose result has artifacts and answers of uploads. */
const finishing = async (peer: Peer2026) => {
  await play2026.working(peer)
  for (const type of ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest']) peer.sendForJob(type)
  peer.sendForJob('V0JobFinishedRequest', {
    ...{ ...TEXTS, artifacts: { '/artifacts/a': 'aGk=' } },
    upload_results: { 'o/1': '{"headers":{"etag":"x"},"body":"\\u0000"}' },
  })
  await peer.receive('V0JobFinishedReceiptRequest')
}
/** Answers the question for the manifest, and lets `script` answer an offer. */
const offered = (script: (peer: Peer2026) => Promise<unknown>) => async (peer: Peer2026) => {
  await play2026.authenticated(peer)
  await peer.receive('V0InitialJobRequest')
  await script(peer)
}
const declining = offered(async peer => {
  peer.sendForJob('V0DeclineJobRequest', { reason: 'busy', message: 'full' })
  await peer.gone
})

/** More executors than any host has. */
const COUNTLESS = { ...MANIFEST_2026, manifest: { 'always_on.test': 9_000_000_000_000_000 } }
const countless = (script: (peer: Peer2026) => Promise<unknown>) => async (peer: Peer2026) => {
  await peer.receive('ValidatorAuthForMiner')
  peer.send(COUNTLESS)
  await peer.receive('V0InitialJobRequest')
  await script(peer)
}

async function addBrokenJob(minerHotkey: string): Promise<void> {
  const miner = { minerHotkey, minerUid: 0, minerAddress: '' }
  const end = { state: 'broken', reason: 'horde-failed' } as const
  await database()
    .db.insert(jobs)
    .values({ uuid: randomUUID(), createdAt: new Date(), ...miner, ...end })
}

const rowsOf = (uuid: string) => triesOf(database().db, uuid)

describe('a job of a facilitator of v2026', () => {
  it('runs on a miner that the validator picks, and every status is reported in the words of v2026', async () => {
    await using world = await start({ miners: [{ v2026: finishing }] })
    const job = userJob({ env: { A: 'ü' }, artifacts_dir: '/artifacts' })
    const updates = await world.ask(job)
    const texts = JSON.stringify({ headers: { etag: 'x' }, body: '\0' })
    expect(updates).toEqual([
      ...STEPS.map(status => ({ message_type: 'V0JobStatusUpdate', uuid: job.uuid, status, metadata: null })),
      {
        ...{ message_type: 'V0JobStatusUpdate', uuid: job.uuid, status: 'completed' },
        metadata: {
          ...NO_DETAILS,
          miner_response: { ...TEXTS, artifacts: { '/artifacts/a': 'aGk=' }, upload_results: { 'o/1': texts } },
        },
      },
    ])
    expect(world.facilitator.malformed).toEqual([])
    const offer = world.miners[0]?.of2026?.received.find(
      ({ message }) => message.message_type === 'V0InitialJobRequest',
    )
    expect(offer?.message).toMatchObject({
      ...{ job_uuid: job.uuid, executor_class: 'always_on.test', docker_image: 'echo:v0', timeout_seconds: 300 },
      executor_timing: {
        ...{ allowed_leeway: 5, download_time_limit: 10, execution_time_limit: 20, upload_time_limit: 30 },
        streaming_start_time_limit: 0,
      },
      job_started_receipt_payload: { is_organic: true, ttl: 7 },
    })
    const work = world.miners[0]?.of2026?.received.find(({ message }) => message.message_type === 'V0JobRequest')
    expect(work?.message).toMatchObject({ env: { A: 'ü' }, artifacts_dir: '/artifacts', docker_run_cmd: ['a', 'b c'] })
    expect(await rowsOf(job.uuid)).toMatchObject([{ uuid: job.uuid, state: 'finished', dialect: 'v2026' }])
    expect(world.connection.state()).toMatchObject({ connected: true, dialect: 'v2026' })
  })

  it('runs once, however often it is requested, and its end is reported again', async () => {
    await using world = await start({ miners: [{ v2026: finishing }] })
    const job = userJob()
    const [first] = [(await world.ask(job)).at(-1)]
    world.facilitator.peers[0]?.send(job)
    await world.facilitator.until(
      () => world.facilitator.statuses(job.uuid).filter(it => it === 'completed').length > 1,
    )
    expect(world.facilitator.updates(job.uuid).at(-1)?.status).toBe('completed')
    expect(first?.status).toBe('completed')
    expect(world.facilitator.statuses(job.uuid), 'no stage comes after the end').toEqual([
      ...STEPS,
      ...['completed', 'completed'],
    ])
    expect(await rowsOf(job.uuid)).toHaveLength(1)
  })

  it('goes on after a restart of the validator, and its result is reported whole', async () => {
    const artifacts = { '/artifacts/a': 'x'.repeat(20_000) }
    let jobConnections = 0
    await using world = await start({
      miners: [
        {
          v2026: async peer => {
            await play2026.authenticated(peer)
            if (jobConnections > 0) {
              peer.sendForJob('V0JobFinishedRequest', { ...TEXTS, artifacts })
              return peer.gone
            }
            await peer.receive('V0InitialJobRequest')
            jobConnections += 1
            for (const type of ['V0AcceptJobRequest', 'V0ExecutorReadyRequest']) peer.sendForJob(type)
            return peer.gone
          },
        },
      ],
    })
    const { facilitator, connection, connect } = world
    const job = userJob()
    facilitator.peers[0]?.send(job)
    await expect.poll(async () => (await rowsOf(job.uuid))[0]?.state).toBe('running')
    await connection[Symbol.asyncDispose]()
    expect((await rowsOf(job.uuid))[0]?.state, 'a stop leaves it open').toBe('running')
    expect(facilitator.statuses(job.uuid)).toEqual(STEPS.slice(0, 3))
    connect()
    await facilitator.until(() => facilitator.statuses(job.uuid).includes('completed'))
    expect(facilitator.statuses(job.uuid), 'stages are told in their order').toEqual([...STEPS, 'completed'])
    expect(facilitator.updates(job.uuid).at(-1)?.metadata?.miner_response).toMatchObject({ ...TEXTS, artifacts })
    expect(await rowsOf(job.uuid)).toHaveLength(1)
    // The whole report is kept until the facilitator has confirmed the end.
    await expect.poll(async () => (await rowsOf(job.uuid))[0]?.report).toBe(null)
    const [stored] = await database().db.select().from(userJobs).where(eq(userJobs.uuid, job.uuid))
    expect(stored).toMatchObject({ endedAt: expect.any(Date), toldAt: expect.any(Date) })
  })

  it('that has not got its work before a restart: its last stage is told again, and then only later ones', async () => {
    let jobConnections = 0
    const acceptingFirst = async (peer: Peer2026) => {
      await play2026.authenticated(peer)
      if (jobConnections === 0) await peer.receive('V0InitialJobRequest')
      jobConnections += 1
      if (jobConnections === 1) {
        peer.sendForJob('V0AcceptJobRequest')
        return peer.gone
      }
      peer.sendForJob('V0ExecutorReadyRequest')
      await peer.receive('V0JobRequest')
      peer.sendForJob('V0JobFinishedRequest', TEXTS)
      return peer.gone
    }
    await using world = await start({ miners: [{ v2026: acceptingFirst }] })
    const { facilitator, connection, connect } = world
    const job = userJob()
    facilitator.peers[0]?.send(job)
    await facilitator.until(() => facilitator.statuses(job.uuid).includes('accepted'))
    await connection[Symbol.asyncDispose]()
    connect()
    await facilitator.until(() => facilitator.statuses(job.uuid).includes('completed'))
    const [received, accepted, ...later] = STEPS
    expect(facilitator.statuses(job.uuid)).toEqual([received, accepted, accepted, ...later, 'completed'])
  })

  it('that ended before a restart, and whose end was not confirmed, is reported whole', async () => {
    const job = userJob()
    const report = { type: 'finish', jobUuid: job.uuid, output: { stdout: 'o', stderr: '', artifacts: { a: 'b' } } }
    const { signature, ...request } = job
    const at = new Date()
    const { db } = database()
    await db.insert(userJobs).values({
      ...{ uuid: job.uuid, request: JSON.stringify(request), signatory: signature?.signatory ?? '', createdAt: at },
    })
    await db.insert(jobs).values({
      ...{ uuid: job.uuid, userJob: job.uuid, minerHotkey: 'a', minerUid: 1, minerAddress: 'b', createdAt: at },
      ...{
        state: 'finished',
        endedAt: at,
        stdout: 'o',
        stderr: '',
        source: 'facilitator',
        report: JSON.stringify(report),
      },
    })
    await using world = await start({})
    const { facilitator } = world
    await facilitator.until(() => facilitator.statuses(job.uuid).includes('completed'))
    expect(facilitator.updates(job.uuid).at(-1)?.metadata?.miner_response).toMatchObject({ artifacts: { a: 'b' } })
  })
})

it('rejects a job that no miner had when the validator went away for long', async () => {
  const { signature: _, ...request } = userJob()
  const { uuid } = request
  const row = { uuid, request: JSON.stringify(request), signatory: 'a', createdAt: new Date(Date.now() - 700_000) }
  await database().db.insert(userJobs).values(row)
  await using world = await start({ miners: [{ v2026: finishing }] })
  await world.facilitator.until(() => world.facilitator.statuses(uuid).includes('rejected'))
  expect(await rowsOf(uuid)).toEqual([])
})

describe('a job that ends badly', () => {
  const failed = { message: 'why', docker_process_stdout: 'so far', docker_process_stderr: '' }
  it.each([
    [
      { ...failed, reason: 'nonzero_return_code', stage: 'execution', docker_process_exit_status: 3 },
      { reason: 'nonzero_return_code', stage: 'execution', docker_process_exit_status: 3, message: 'why' },
    ],
    [
      { message: 'gone', reason: 'download_failed', stage: 'volume_download' },
      { reason: 'download_failed', stage: 'volume_download', docker_process_stdout: null, message: 'gone' },
    ],
    [
      { ...failed, reason: 'upload_failed', stage: 'result_upload' },
      { reason: 'upload_failed', stage: 'result_upload', docker_process_stdout: 'so far' },
    ],
    [
      { ...failed, reason: 'timeout', stage: 'execution' },
      { reason: 'timeout', stage: 'execution' },
    ],
  ])('by its own fault is reported with reason and stage: %j', async (fields, details) => {
    await using world = await start({
      miners: [
        {
          v2026: async peer => {
            await play2026.working(peer)
            peer.sendForJob('V0JobFailedRequest', fields)
            await peer.gone
          },
        },
      ],
    })
    const last = (await world.ask(userJob())).at(-1)
    expect(last).toMatchObject({ status: 'failed', metadata: { ...NO_DETAILS, job_failure_details: details } })
    expect(world.facilitator.malformed).toEqual([])
  })

  it.each([
    [['V0VolumesReadyRequest', 'V0ExecutionDoneRequest'], { upload_time_limit: 0 }, 'final_response_timed_out'],
    [['V0VolumesReadyRequest'], { execution_time_limit: 0 }, 'execution_timed_out'],
    [[], {}, 'volumes_timed_out'],
  ])('by silence after %j is reported as the time-out of that stage', async (stages, limits, reason) => {
    await using world = await start({
      miners: [
        {
          v2026: async peer => {
            await play2026.working(peer)
            for (const type of stages) peer.sendForJob(type)
            await peer.gone
          },
        },
      ],
    })
    const short = { download_time_limit: 0, execution_time_limit: 1, upload_time_limit: 1, ...limits }
    const last = (await world.ask(userJob(short))).at(-1)
    expect(last).toMatchObject({
      status: 'failed',
      metadata: { ...NO_DETAILS, horde_failure_details: { reported_by: 'validator', reason } },
    })
  })

  it.each([
    [
      'V0HordeFailedRequest',
      { reported_by: 'executor', reason: 'security_check_failed', message: 'CVE', context: { stage: 'execution' } },
      'horde_failed',
      { horde_failure_details: { reported_by: 'executor', reason: 'security_check_failed', message: 'CVE' } },
    ],
  ])('by fault of the horde is reported as its miner says: %s', async (type, fields, status, metadata) => {
    await using world = await start({
      miners: [
        {
          v2026: async peer => {
            await play2026.working(peer)
            peer.sendForJob(type, fields)
            await peer.gone
          },
        },
      ],
    })
    expect((await world.ask(userJob())).at(-1)).toMatchObject({ status, metadata: { ...NO_DETAILS, ...metadata } })
  })
})

describe('a time-out or a loss before the work was sent', () => {
  const short = { connectMs: 10_000, manifestMs: 500, readyMs: 1_000, reservationMs: 1_000, jobMs: 10_000 }
  it.each([
    ['no answer to the offer', offered(async peer => void (await peer.gone)), 'initial_response_timed_out'],
    [
      'no ready after the acceptance',
      async (peer: Peer2026) => void (await play2026.accepted(peer).then(() => peer.gone)),
      'executor_readiness_response_timed_out',
    ],
    [
      'a connection that is closed again and again',
      // The first connection asks for the manifest.
      async (peer: Peer2026) => (peer.connection === 1 ? play2026.authenticated(peer) : peer.cut()),
      'miner_connection_failed',
    ],
  ])('%s is reported as what it was, and another miner is tried', async (_, script, reason) => {
    await using alone = await start({ miners: [{ v2026: script }], limits: short })
    expect((await alone.ask(userJob())).at(-1)).toMatchObject({
      status: 'failed',
      metadata: { ...NO_DETAILS, horde_failure_details: { reported_by: 'validator', reason } },
    })
    await using two = await start({ miners: [{ v2026: script }, { v2026: finishing }], limits: short })
    const job = userJob()
    expect((await two.ask(job)).at(-1)?.status).toBe('completed')
    expect((await rowsOf(job.uuid)).map(({ minerUid, state }) => [minerUid, state])).toEqual([
      [0, 'broken'],
      [1, 'finished'],
    ])
  })
})

describe('the picked miner', () => {
  it('is another one when the first declines, under another uuid, and each is tried once', async () => {
    await using world = await start({ miners: [{ v2026: declining }, { v2026: finishing }] })
    const job = userJob()
    expect((await world.ask(job)).map(({ status }) => status)).toEqual([...STEPS, 'completed'])
    const tries = await rowsOf(job.uuid)
    expect(tries.map(({ minerUid, state }) => [minerUid, state])).toEqual([
      [0, 'rejected'],
      [1, 'finished'],
    ])
    expect(tries[0]?.uuid).toBe(job.uuid)
    expect(tries[1]?.uuid).not.toBe(job.uuid)
  })

  it('is another one when the first fails before it has the work, and stays when it fails later', async () => {
    const spinUp = { reported_by: 'miner', reason: 'executor_spinup_failed', message: 'no' }
    const failingEarly = async (peer: Peer2026) => {
      await play2026.accepted(peer)
      peer.sendForJob('V0HordeFailedRequest', spinUp)
      await peer.gone
    }
    const failingLate = async (peer: Peer2026) => {
      await play2026.working(peer)
      peer.sendForJob('V0HordeFailedRequest', { ...spinUp, reason: 'executor_disconnected' })
      await peer.gone
    }
    await using world = await start({ miners: [{ v2026: failingEarly }, { v2026: failingLate }, { v2026: finishing }] })
    const job = userJob()
    expect((await world.ask(job)).map(({ status }) => status)).toEqual([...STEPS.slice(0, 3), 'horde_failed'])
    expect((await rowsOf(job.uuid)).map(({ minerUid }) => minerUid)).toEqual([0, 1])
  })

  it('is none beyond the limit of tries, and the last end is reported', async () => {
    const miners = Array.from({ length: 3 }, () => ({ v2026: declining }))
    await using world = await start({ miners, maxTries: 2 })
    const job = userJob()
    expect((await world.ask(job)).at(-1)).toMatchObject({
      status: 'rejected',
      metadata: { job_rejection_details: { rejected_by: 'miner', reason: 'busy', message: 'full', context: null } },
    })
    expect(await rowsOf(job.uuid)).toHaveLength(2)
  })

  it('has a free executor: two jobs at once get two miners, and the third none', async () => {
    const waiting = async (peer: Peer2026) => {
      await play2026.working(peer)
      await peer.gone
    }
    await using world = await start({ miners: [{ v2026: waiting }, { v2026: waiting }] })
    const { facilitator } = world
    const running = [userJob(), userJob()]
    for (const job of running) facilitator.peers[0]?.send(job)
    for (const { uuid } of running) await facilitator.until(() => facilitator.statuses(uuid).includes('executor_ready'))
    const picked = await Promise.all(running.map(async ({ uuid }) => (await rowsOf(uuid))[0]?.minerUid))
    expect(picked.sort()).toEqual([0, 1])
    expect((await world.ask(userJob())).at(-1)).toMatchObject({
      status: 'rejected',
      metadata: { job_rejection_details: { rejected_by: 'validator', reason: 'no_miner_for_job' } },
    })
  })

  it('has no more executors than may count, whatever it lists', async () => {
    const end = Promise.withResolvers<void>()
    const holding = countless(async peer => {
      peer.sendForJob('V0AcceptJobRequest')
      await end.promise
      peer.sendForJob('V0HordeFailedRequest', { reported_by: 'miner', message: 'why', reason: 'generic_error' })
      await peer.gone
    })
    await using world = await start({ miners: [{ v2026: holding }], maxExecutors: 1 })
    const { facilitator } = world
    const held = userJob()
    facilitator.peers[0]?.send(held)
    await facilitator.until(() => facilitator.statuses(held.uuid).includes('accepted'))
    expect((await world.ask(userJob({ env: { A: 'another' } }))).at(-1)).toMatchObject({
      status: 'rejected',
      metadata: { job_rejection_details: { reason: 'no_miner_for_job', message: expect.stringContaining('busy') } },
    })
    // A job that is left open would go on in the next test.
    end.resolve()
    await facilitator.until(() => facilitator.statuses(held.uuid).includes('horde_failed'))
  })

  it('is one with a worse record less often, whatever it lists', async () => {
    const random = () => 0.49
    const miners = [{ v2026: countless(peer => peer.gone) }, { v2026: finishing }]
    await using world = await start({ miners, random, maxExecutors: 1 })
    await addBrokenJob(world.miners[0]?.hotkey.ss58 ?? '')
    const job = userJob()
    expect((await world.ask(job)).at(-1)?.status).toBe('completed')
    expect((await rowsOf(job.uuid)).map(({ minerUid }) => minerUid)).toEqual([1])
  })

  it('is a likelier one the fewer of its jobs ended badly', async () => {
    // The number at which the second of two miners of equal record would just not be drawn.
    const random = () => 0.49
    await using world = await start({ miners: [{ v2026: finishing }, { v2026: finishing }], random })
    const before = userJob()
    await world.ask(before)
    await addBrokenJob(world.miners[0]?.hotkey.ss58 ?? '')
    const after = userJob()
    await world.ask(after)
    expect((await rowsOf(before.uuid))[0]?.minerUid).toBe(0)
    expect((await rowsOf(after.uuid))[0]?.minerUid).toBe(1)
  })

  it('of a job for the trusted one is that, and no other', async () => {
    await using world = await start({ miners: [{ v2026: finishing }, { v2026: declining }], trusted: 1 })
    const job = userJob({ on_trusted_miner: true })
    expect((await world.ask(job)).at(-1)?.status).toBe('rejected')
    expect((await rowsOf(job.uuid)).map(({ minerUid }) => minerUid)).toEqual([1])
    await using none = await start({ miners: [{ v2026: finishing }] })
    expect((await none.ask(userJob({ on_trusted_miner: true }))).at(-1)).toMatchObject({
      metadata: { job_rejection_details: { reason: 'no_miner_for_job', message: expect.stringContaining('trusted') } },
    })
  })
})

describe('a v0 miner', () => {
  const working = async (peer: V0Peer) => {
    peer.send(MANIFEST)
    await play.working(peer)
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  }

  it('gets a job that v0 can express, and the stages that it does not report are said before the end', async () => {
    await using world = await start({ miners: [{ v0: working }] })
    const job = userJob({ volume: { volume_type: 'zip_url', contents: 'http://in/a.zip' } })
    expect((await world.ask(job)).map(({ status }) => status)).toEqual([...STEPS, 'completed'])
    expect(world.facilitator.updates(job.uuid).at(-1)?.metadata?.miner_response).toEqual({
      ...{ ...TEXTS, artifacts: {}, upload_results: {} },
    })
    expect((await rowsOf(job.uuid))[0]).toMatchObject({ dialect: 'v0', timeoutSeconds: 65 })
  })

  it.each([
    [{ env: { A: '1' } }, 'environment variables'],
    [{ artifacts_dir: '/artifacts' }, 'an artifacts folder'],
    [
      { output_upload: { output_upload_type: 'single_file_put', url: 'http://o/', relative_path: 'a' } },
      'uploads of single files',
    ],
    [{ volume: { volume_type: 'huggingface_volume', repo_id: 'a/b' } }, 'a volume from Hugging Face'],
  ])('does not get a job with %j, which is declined in words when there is no other miner', async (fields, part) => {
    await using world = await start({ miners: [{ v0: working }] })
    const job = userJob(fields)
    expect((await world.ask(job)).at(-1)).toMatchObject({
      status: 'rejected',
      metadata: {
        job_rejection_details: {
          ...{ rejected_by: 'validator', reason: 'no_miner_for_job' },
          message: expect.stringMatching(new RegExp(`v0, which cannot express ${part}`)),
        },
      },
    })
    expect(await rowsOf(job.uuid)).toEqual([])
  })

  it('does not get a job that it cannot take while another miner can', async () => {
    await using world = await start({ miners: [{ v0: working }, { v2026: finishing }] })
    const job = userJob({ env: { A: '1' } })
    expect((await world.ask(job)).at(-1)?.status).toBe('completed')
    expect((await rowsOf(job.uuid)).map(({ minerUid }) => minerUid)).toEqual([1])
  })

  it('that was picked as one of v2026 is left before the offer', async () => {
    await using world = await start({ miners: [{ v0: working }] })
    world.manifests.offered = () => ({ dialect: 'v2026', executors: 1 })
    const job = userJob({ env: { A: '1' } })
    expect((await world.ask(job)).at(-1)).toMatchObject({
      status: 'rejected',
      metadata: { job_rejection_details: { message: expect.stringContaining('environment variables') } },
    })
    expect(await rowsOf(job.uuid)).toMatchObject([{ state: 'rejected', reason: 'not-in-v0' }])
  })
})

describe('a request that is refused', () => {
  const rejected = (message: unknown, reason = 'unknown') => ({
    status: 'rejected',
    metadata: { ...NO_DETAILS, job_rejection_details: { rejected_by: 'validator', reason, message, context: null } },
  })
  const put = (relative_path: string) => ({
    output_upload: { output_upload_type: 'single_file_put', url: 'http://o/', relative_path },
  })

  it.each([
    [put('../a'), 'output_upload.relative_path'],
    [put('/a'), 'output_upload.relative_path'],
    [put('a//b'), 'output_upload.relative_path'],
    [{ output_upload: { output_upload_type: 'multi_upload', uploads: [put('a\\b').output_upload] } }, 'uploads.0'],
    [{ volume: { volume_type: 'ftp', contents: '' } }, 'volume'],
    [{ executor_class: 'always_on.quantum' }, 'executor_class'],
    [{ download_time_limit: -1 }, 'download_time_limit'],
    [{ execution_time_limit: 3_600 }, 'execution_time_limit'],
    [{ uuid: '7D8A4B0E-2F64-4D3E-9F43-0C6F3A5D9B11' }, 'uuid'],
    [{ uuid: 'none' }, 'uuid'],
    [{ env: { 'A=B': '1' } }, 'env'],
    [{ args: ['a\0'] }, 'args'],
    [{ docker_image: '' }, 'docker_image'],
    [{ streaming_details: { public_key: 'PEM' } }, 'streaming_details'],
    [{ surprise: 1 }, 'unknown fields'],
  ])('%j is rejected in words that name the field', async (fields, field) => {
    await using world = await start({ miners: [{ v2026: finishing }] })
    expect(await world.ask(userJob(fields))).toMatchObject([rejected(expect.stringContaining(field))])
    expect(world.facilitator.malformed).toEqual([])
    expect(world.miners[0]?.of2026?.connections()).toBe(0)
  })

  const now = () => Date.now()
  it.each([
    ['without a signature', () => ({ ...userJob(), signature: null }), 'is missing'],
    ['signed by another key', () => userJob({}, { signer: hotkeyFromUri('//Stranger') }), 'signature.signatory'],
    ['signed long ago', () => userJob({}, { at: now() - 3_700_000 }), 'signature.timestamp_ns'],
    ['signed in the future', () => userJob({}, { at: now() + 3_600_000 }), 'signature.timestamp_ns'],
    ['changed after it was signed', () => ({ ...userJob(), args: ['other'] }), 'does not verify'],
  ])('%s is rejected as badly signed, and never received', async (_, job, words) => {
    await using world = await start({ miners: [{ v2026: finishing }] })
    expect(await world.ask(job())).toMatchObject([rejected(expect.stringContaining(words), 'invalid_signature')])
  })

  it('has the signature of another job, also after a restart', async () => {
    await using world = await start({ miners: [{ v2026: finishing }] })
    const job = userJob()
    await world.ask(job)
    await world.connection[Symbol.asyncDispose]()
    world.connect()
    await world.facilitator.until(() => world.facilitator.peers.length === 2)
    const replayed = { ...job, uuid: randomUUID() }
    expect(await world.ask(replayed)).toMatchObject([rejected(expect.stringContaining('used'), 'invalid_signature')])
  })

  it('is not one when signatures may be used again, and be of any age', async () => {
    const { signatory = '' } = userJob().signature ?? {}
    const rules = { signers: new Set([signatory]), maxAgeMs: Number.POSITIVE_INFINITY, once: false }
    await using world = await start({ miners: [{ v2026: finishing }], rules })
    const job = userJob({}, { at: 1_600_000_000_000 })
    expect((await world.ask(job)).at(-1)?.status).toBe('completed')
    expect((await world.ask({ ...job, uuid: randomUUID() })).at(-1)?.status).toBe('completed')
  })

  it('is rejected when no miner has the class, and stays rejected', async () => {
    await using world = await start({ miners: [{ v2026: finishing }] })
    const job = userJob({ executor_class: 'always_on.llm.a6000' })
    const updates = await world.ask(job)
    expect(updates.at(-1)).toMatchObject(rejected(expect.stringContaining('a6000'), 'no_miner_for_job'))
    world.facilitator.peers[0]?.send(job)
    await world.facilitator.until(() => world.facilitator.updates(job.uuid).length > updates.length)
    expect(world.facilitator.updates(job.uuid).at(-1)).toEqual(updates.at(-1))
  })
})

describe('a report of a cheat', () => {
  const cheatedAt = async (uuid: string) =>
    (await database().db.select().from(userJobs).where(eq(userJobs.uuid, uuid)))[0]?.cheatedAt

  it.each(['once', 'twice'] as const)(
    'is stored when its text is encoded %s, and counts against the miner',
    async encoded => {
      const random = () => 0.49
      await using world = await start({ miners: [{ v2026: finishing }, { v2026: finishing }], random })
      const job = userJob()
      await world.ask(job)
      await expect.poll(async () => (await rowsOf(job.uuid))[0]?.report).toBe(null)
      const report = cheatReport({ job_uuid: job.uuid, trusted_job_uuid: randomUUID() }, { encoded })
      world.facilitator.peers[0]?.send(report)
      await expect.poll(() => cheatedAt(job.uuid)).toBeInstanceOf(Date)
      const next = userJob()
      await world.ask(next)
      expect([(await rowsOf(job.uuid))[0]?.minerUid, (await rowsOf(next.uuid))[0]?.minerUid]).toEqual([0, 1])
    },
  )

  it('is dropped when another key signed it, or the job is not known', async () => {
    await using world = await start({
      miners: [{ v2026: finishing }],
      rules: {
        signers: new Set([userJob().signature?.signatory ?? '', hotkeyFromUri('//Other').ss58]),
        maxAgeMs: 1e9,
        once: true,
      },
    })
    const job = userJob()
    await world.ask(job)
    const [peer] = world.facilitator.peers
    const about = { job_uuid: job.uuid, trusted_job_uuid: randomUUID() }
    peer?.send(cheatReport(about, { signer: hotkeyFromUri('//Stranger') }))
    peer?.send(cheatReport(about, { signer: hotkeyFromUri('//Other') }))
    peer?.send({ ...cheatReport(about), details: 'other' })
    peer?.send(cheatReport({ ...about, job_uuid: randomUUID() }))
    await world.ask(userJob())
    expect(await cheatedAt(job.uuid)).toBe(null)
  })
})

it('answers a manifest that is asked for like any other validator', async () => {
  await using world = await start({ miners: [{ v2026: finishing }] })
  const miners = [{ uid: 0, hotkey: world.miners[0]?.hotkey.ss58 ?? '', address: world.miners[0]?.address ?? '' }]
  await world.manifests.ask(miners, AbortSignal.timeout(10_000))
  const [miner] = miners
  expect(miner && world.manifests.offered(miner, 'always_on.test')).toEqual({ dialect: 'v2026', executors: 1 })
  expect(MANIFEST_2026.manifest['always_on.test']).toBe(1)
})
