import type { Neuron } from '@horde/chain/metagraph'
import { hotkeyFromUri, verifySignature } from '@horde/chain/wallet'
import { silentLog } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import { systemClock } from '@horde/kit/time'
import { facilitatorLoginBytes } from '@horde/protocol/handshake/signing'
import { request, SUCCESS, startFacilitator } from '@horde/testing/peers/facilitator'
import { HOST, MANIFEST, type Peer, play, startScriptedMiner } from '@horde/testing/peers/scripted-miner'
import { eq } from 'drizzle-orm'
import { expect, it } from 'vitest'
import { jobs } from '../../src/db/schema.ts'
import { abandonJobs } from '../../src/jobs/transition.ts'
import { FacilitatorConnection } from '../../src/organic/facilitator-connection.ts'
import type { OrganicLimits } from '../../src/organic/organic-job.ts'
import { resumableJobs, runOrganicJob } from '../../src/organic/run-organic-job.ts'
import { withDatabase } from '../db/databases.ts'
import { AT_ONCE, MINER, unknownDialects, VALIDATOR } from '../jobs/drive.ts'

const database = withDatabase()

const LIMITS: OrganicLimits = {
  connectMs: 10_000,
  manifestMs: 20,
  readyMs: 10_000,
  reservationMs: 7_000,
  jobMs: 10_000,
}
/** What a facilitator of 2024 never asks for. */
const OF_2024 = { runUserJob: async () => {}, onCheated: async () => {} }
const TEXTS = { docker_process_stdout: 'out', docker_process_stderr: 'err' }

/** Starts a facilitator, a validator that is connected to it, and a miner with this script. */
async function setUp(
  script: (peer: Peer) => Promise<unknown>,
  limits: Partial<OrganicLimits> = {},
  heartbeatMs = 60_000,
  reconnect = AT_ONCE as BackoffOptions,
) {
  const stack = new AsyncDisposableStack()
  const facilitator = stack.use(await startFacilitator())
  const miner = stack.use(await startScriptedMiner(MINER, async peer => void (await script(peer))))
  const axon = { ip: HOST, port: miner.port, ipType: 4 as const, protocol: 4, version: 0, block: 1 }
  const neurons: Neuron[] = [
    {
      ...{ uid: 0, hotkey: MINER.ss58, coldkey: MINER.ss58, stakeRao: 0n, validatorPermit: false },
      lastUpdate: 0,
      axon,
    },
  ]
  const deps = {
    ...{
      netuid: 1,
      source: 'facilitator' as const,
      allowPrivate: true,
      limits: { ...LIMITS, ...limits },
      reconnect: AT_ONCE,
      hotkey: VALIDATOR,
      dialects: unknownDialects(),
    },
    ...{ chain: { metagraph: async () => ({ netuid: 1, block: 1, neurons }) }, db: database().db },
    ...{ clock: systemClock, log: silentLog },
  }
  const connection = stack.use(
    new FacilitatorConnection({
      ...{
        uri: facilitator.uri,
        hotkey: VALIDATOR,
        heartbeatMs,
        reconnect,
        clock: systemClock,
        log: silentLog,
      },
      run: (job, report, signal) => runOrganicJob(job, { ...deps, report }, signal),
      ...OF_2024,
    }),
  )
  await facilitator.until(() => facilitator.peers.length > 0)
  /** Requests a job, and returns its updates once it has ended. */
  const ask = async (job: ReturnType<typeof request>) => {
    facilitator.peers.at(-1)?.send(job)
    await facilitator.until(() =>
      facilitator.updates(job.uuid).some(each => 'status' in each && each.status !== 'accepted'),
    )
    return facilitator.updates(job.uuid)
  }
  return { facilitator, miner, connection, deps, ask, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

const update = (
  uuid: string,
  status: string,
  comment: unknown = expect.any(String),
  miner_response: unknown = null,
) => ({
  ...{ message_type: 'V0JobStatusUpdate', uuid, status, metadata: { comment, miner_response } },
})

it('logs in with a signature over its public key, and sends heartbeats', async () => {
  await using world = await setUp(async () => {}, {}, 10)
  const { facilitator } = world
  await facilitator.until(() => facilitator.received.filter(each => each.message_type === 'V0Heartbeat').length > 1)
  const [login] = facilitator.received
  if (login?.message_type !== 'V0AuthenticationRequest') throw new Error('no login came first')
  expect(login.public_key).toBe(Buffer.from(VALIDATOR.publicKey).toString('hex'))
  expect(verifySignature(VALIDATOR.ss58, facilitatorLoginBytes(login.public_key), login.signature)).toBe(true)
})

it('runs a job: accepted when ready, completed with the output, all fields passed on', async () => {
  await using world = await setUp(async peer => {
    peer.send(MANIFEST)
    await play.working(peer)
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  })
  const job = request({ use_gpu: true, input_url: 'http://in/x.zip', output_url: 'http://out/y.zip' })
  expect(await world.ask(job)).toEqual([
    update(job.uuid, 'accepted', 'Miner accepted job'),
    update(job.uuid, 'completed', 'Miner finished job', {
      ...{ job_uuid: job.uuid, message_type: 'V0JobFinishedRequest', ...TEXTS },
    }),
  ])
  expect(world.miner.received[1]?.message).toEqual({
    ...{ message_type: 'V0InitialJobRequest', job_uuid: job.uuid, base_docker_image_name: 'echo:v0' },
    ...{ timeout_seconds: 10, volume_type: 'zip_url' },
  })
  expect(world.miner.received[2]?.message).toEqual({
    ...{ message_type: 'V0JobRequest', job_uuid: job.uuid, docker_image_name: 'echo:v0', raw_script: null },
    ...{ docker_run_options_preset: 'nvidia_all', docker_run_cmd: ['a', 'b c'] },
    volume: { volume_type: 'zip_url', contents: 'http://in/x.zip' },
    output_upload: { output_upload_type: 'zip_and_http_put', url: 'http://out/y.zip', form_fields: null },
  })
  const [row] = await database().db.select().from(jobs).where(eq(jobs.uuid, job.uuid))
  expect(row).toMatchObject({ state: 'finished', batchId: null, score: null, rightAnswer: null, stdout: 'out' })
})

it('resets the retry counter when a connection brings a job or confirms an update', async () => {
  const seldom = { minMs: 1, maxMs: 1_000_000, factor: 1_000_000 }
  await using world = await setUp(async () => {}, { connectMs: 100_000 }, 60_000, seldom)
  const { facilitator } = world
  for (let connection = 1; connection <= 3; connection += 1) {
    await facilitator.until(() => facilitator.peers.length === connection)
    const job = request({ env: { A: 'b' } })
    facilitator.peers.at(-1)?.send(job)
    await facilitator.until(() => facilitator.updates(job.uuid).length > 0)
    facilitator.peers.at(-1)?.cut()
  }
  await facilitator.until(() => facilitator.peers.length === 4)
})

it.each([
  ['its own time limit ended', { timeout: true }, /^The job ran into its own time limit: 10 s\.$/],
  ['could not be run', {}, /^The job could not be run as it was asked for/],
])('reports that a job %s', async (_, fields, comment) => {
  await using world = await setUp(async peer => {
    peer.send(MANIFEST)
    await play.working(peer)
    peer.sendForJob('V0JobFailedRequest', { docker_process_exit_status: null, ...TEXTS, ...fields })
  })
  const job = request()
  const last = (await world.ask(job)).at(-1)
  expect(last).toMatchObject({
    status: 'failed',
    metadata: { comment: expect.stringMatching(comment), miner_response: TEXTS },
  })
  // A repeated request gets the same update.
  const { length } = world.facilitator.updates(job.uuid)
  world.facilitator.peers.at(-1)?.send(job)
  await world.facilitator.until(() => world.facilitator.updates(job.uuid).length > length)
  expect(world.facilitator.updates(job.uuid).at(-1)).toEqual(last)
})

it('reports the time limit of a job without a result in time', async () => {
  await using world = await setUp(async peer => void (await play.working(peer)), { jobMs: 1_500 })
  const last = (await world.ask(request())).at(-1)
  expect(last).toMatchObject({ status: 'failed', metadata: { comment: 'No result came in time: 1.5 s.' } })
})

it('runs a script without a GPU on a class that the miner lists', async () => {
  await using world = await setUp(
    async peer => {
      peer.send(MANIFEST)
      await play.working(peer)
      peer.sendForJob('V0JobFinishedRequest', TEXTS)
    },
    { manifestMs: 10_000 },
  )
  const job = request({ docker_image: '', raw_script: 'print(1)' })
  expect(await world.ask(job)).toHaveLength(2)
  expect(world.miner.received[1]?.message).toMatchObject({
    ...{ base_docker_image_name: null, volume_type: 'inline', executor_class: 'always_on.test' },
  })
  expect(world.miner.received[2]?.message).toMatchObject({
    ...{ docker_image_name: null, raw_script: 'print(1)', docker_run_options_preset: 'none', output_upload: null },
  })
})

it('asks for the class that the facilitator names, and runs no job of an unknown one', async () => {
  await using world = await setUp(async peer => {
    await play.working(peer)
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  })
  const job = request({ executor_class: 'spin_up-4min.gpu-24gb' })
  expect(await world.ask(job)).toHaveLength(2)
  expect(world.miner.received[1]?.message).toMatchObject({ executor_class: 'spin_up-4min.gpu-24gb' })
  const unknown = request({ executor_class: 'always_on.quantum' })
  expect(await world.ask(unknown)).toEqual([update(unknown.uuid, 'failed', 'The executor class is not known.')])
})

const endings: [string, (peer: Peer) => Promise<unknown>, string[], Partial<OrganicLimits>][] = [
  ['a decline', peer => play.offered(peer).then(() => peer.sendForJob('V0DeclineJobRequest')), ['rejected'], {}],
  [
    'a failed preparation',
    peer => play.accepted(peer).then(() => peer.sendForJob('V0ExecutorFailedRequest')),
    ['rejected'],
    {},
  ],
  ['silence after the offer', peer => play.offered(peer), ['failed'], { readyMs: 100 }],
  ['silence after the acceptance', peer => play.accepted(peer), ['failed'], { readyMs: 100 }],
  ['silence after the work', peer => play.working(peer), ['accepted', 'failed'], { jobMs: 2_500 }],
  ['a connection that is closed again and again', async peer => peer.close(), ['failed'], { manifestMs: 5_000 }],
]

it.each(endings)('reports %s', async (_, script, statuses, limits) => {
  await using world = await setUp(script, limits)
  const job = request()
  const updates = await world.ask(job)
  expect(updates).toEqual(statuses.map(status => update(job.uuid, status)))
})

it('reports a failed job with its output', async () => {
  await using world = await setUp(async peer => {
    await play.working(peer)
    peer.sendForJob('V0JobFailedRequest', { ...TEXTS, docker_process_exit_status: 3 })
  })
  const job = request()
  expect((await world.ask(job))[1]).toEqual(
    update(job.uuid, 'failed', 'The job exited with a status other than 0.', {
      ...{ job_uuid: job.uuid, message_type: 'V0JobFailedRequest', ...TEXTS },
    }),
  )
})

it('answers requests that it cannot run: unknown miner, repeated uuid, variables, invalid frames', async () => {
  await using world = await setUp(async peer => {
    await play.working(peer)
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  })
  const { ask, facilitator } = world
  const toUnregistered = request({ miner_hotkey: hotkeyFromUri('//Unregistered').ss58 })
  expect(await ask(toUnregistered)).toEqual([
    update(toUnregistered.uuid, 'failed', expect.stringMatching(/is no neuron of subnet 1/)),
  ])
  const job = request()
  await ask(job)
  facilitator.peers[0]?.send(job)
  await facilitator.until(() => facilitator.updates(job.uuid).length === 3)
  expect(facilitator.updates(job.uuid)[2], 'what became of it').toEqual(facilitator.updates(job.uuid)[1])
  const upperCase = { ...job, uuid: job.uuid.toUpperCase() as typeof job.uuid }
  const [repeated] = await ask(upperCase)
  expect(repeated).toMatchObject({ uuid: upperCase.uuid, status: 'completed' })
  const nul = request({ args: ['a\0b'] })
  expect(await ask(nul)).toEqual([update(nul.uuid, 'failed', expect.stringContaining('NUL'))])
  const variables = request({ env: { A: '1' } })
  expect(await ask(variables)).toEqual([update(variables.uuid, 'failed')])
  facilitator.peers[0]?.send('nonsense')
  const both = request({ raw_script: 'print(1)' })
  expect(await ask(both)).toEqual([update(both.uuid, 'failed', expect.stringContaining('exactly one of'))])
})

it('keeps updates while the facilitator is away, and sends them in order', async () => {
  const cut = Promise.withResolvers<void>()
  await using world = await setUp(async peer => {
    await play.working(peer)
    await cut.promise
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  })
  const { facilitator } = world
  const job = request()
  facilitator.peers[0]?.send(job)
  await facilitator.until(() => facilitator.updates(job.uuid).length === 1)
  // Once this job is reported, the validator has the confirmation of the first update.
  await world.ask(request({ miner_hotkey: hotkeyFromUri('//Unregistered').ss58 }))
  facilitator.peers[0]?.cut()
  cut.resolve()
  await facilitator.until(() => facilitator.updates(job.uuid).length === 2)
  expect(facilitator.peers).toHaveLength(2)
  expect(facilitator.updates(job.uuid).map(each => 'status' in each && each.status)).toEqual(['accepted', 'completed'])
})

it('reports how jobs ended when it is stopped', async () => {
  const world = await setUp(async peer => void (await play.working(peer)))
  const { facilitator } = world
  const job = request()
  facilitator.peers[0]?.send(job)
  await facilitator.until(() => facilitator.updates(job.uuid).length === 1)
  await world.connection[Symbol.asyncDispose]()
  await facilitator.until(() => facilitator.updates(job.uuid).length === 2)
  expect(facilitator.updates(job.uuid)[1]).toMatchObject({ status: 'failed' })
  await world[Symbol.asyncDispose]()
})

it('repeats the last update of a running job that is requested again, and runs it once', async () => {
  const finish = Promise.withResolvers<void>()
  await using world = await setUp(async peer => {
    await play.working(peer)
    await finish.promise
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  })
  const { facilitator, miner } = world
  const job = request()
  facilitator.peers[0]?.send(job)
  await facilitator.until(() => facilitator.updates(job.uuid).length === 1)
  facilitator.peers[0]?.send(job)
  facilitator.peers[0]?.send({ ...job, use_gpu: 'perhaps' })
  await facilitator.until(() => facilitator.updates(job.uuid).length === 3)
  finish.resolve()
  await facilitator.until(() => facilitator.updates(job.uuid).length === 4)
  expect(facilitator.updates(job.uuid).map(each => 'status' in each && each.status)).toEqual([
    ...['accepted', 'accepted', 'accepted', 'completed'],
  ])
  expect(miner.received.filter(({ message }) => message.message_type === 'V0InitialJobRequest')).toHaveLength(1)
})

it('reports nothing about a job that another process has finalised', async () => {
  const accepted = Promise.withResolvers<void>()
  await using world = await setUp(async peer => {
    await play.working(peer)
    await accepted.promise
    await database().db.update(jobs).set({ state: 'broken', reason: 'abandoned' }).where(eq(jobs.uuid, job.uuid))
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  })
  const { facilitator, connection } = world
  const job = request()
  facilitator.peers[0]?.send(job)
  await facilitator.until(() => facilitator.updates(job.uuid).length === 1)
  accepted.resolve()
  await expect.poll(() => connection.state()).toEqual({ connected: true, dialect: 'v0', running: 0, waiting: 0 })
  expect(facilitator.updates(job.uuid).map(each => 'status' in each && each.status)).toEqual(['accepted'])
})

it('stores the request, source and deadline of a job', async () => {
  await using world = await setUp(
    async peer => void (await play.offered(peer).then(() => peer.sendForJob('V0DeclineJobRequest'))),
  )
  const job = request({ raw_script: 'print(1)', docker_image: '' })
  await world.ask(job)
  const [row] = await database().db.select().from(jobs).where(eq(jobs.uuid, job.uuid))
  expect(row).toMatchObject({ state: 'rejected', request: job, source: 'facilitator', timeoutSeconds: 10 })
  expect((row?.deadline?.getTime() ?? 0) - (row?.createdAt.getTime() ?? 0)).toBe(10_000)
})

it('survives invalid frames of every kind: the connection stays, and jobs run', async () => {
  await using world = await setUp(async peer => {
    await play.working(peer)
    peer.sendForJob('V0JobFinishedRequest', TEXTS)
  })
  const [peer] = world.facilitator.peers
  const nonsense = [
    '',
    'null',
    '[]',
    '{"message_type":"Nothing"}',
    '{"status":"perhaps"}',
    '{"status":1}',
    '['.repeat(50_000),
  ]
  for (const frame of [...nonsense, { uuid: 7 }, { uuid: 'x' }, { message_type: 'V0JobRequest' }]) peer?.send(frame)
  expect((await world.ask(request())).map(each => 'status' in each && each.status)).toEqual(['accepted', 'completed'])
  expect(world.facilitator.peers).toHaveLength(1)
})

it('logs in again when its login was refused', async () => {
  let refusals = 2
  const refused = { status: 'error', errors: [{ msg: 'who are you?', type: 'unknown', help: null }] }
  await using facilitator = await startFacilitator(() => (refusals-- > 0 ? refused : SUCCESS))
  await using connection = new FacilitatorConnection({
    ...{ uri: facilitator.uri, hotkey: VALIDATOR, reconnect: AT_ONCE, clock: systemClock, log: silentLog },
    run: async () => {},
    ...OF_2024,
  })
  await facilitator.until(() => facilitator.peers.length === 3)
  await expect.poll(() => connection.state()).toEqual({ connected: true, dialect: 'v0', running: 0, waiting: 0 })
})

it('reports a job that the sweep of overdue jobs ended after it was read as open', async () => {
  await using world = await setUp(async () => {})
  const { db } = database()
  const uuid = crypto.randomUUID()
  const asked = request({ uuid: uuid as never, miner_hotkey: MINER.ss58 })
  const past = new Date(Date.now() - 100_000)
  await db.insert(jobs).values({
    ...{
      uuid,
      minerHotkey: MINER.ss58,
      minerUid: 0,
      minerAddress: `${HOST}:1`,
      state: 'running',
      source: 'facilitator',
    },
    ...{ createdAt: new Date(Date.now() - 400_000), deadline: past, request: asked as never },
  })
  const signal = new AbortController().signal
  const mine = (await resumableJobs(world.deps, signal)).find(job => job.uuid === uuid)
  expect(await abandonJobs(db, [{ uuid, state: 'running' }], new Date(), silentLog)).toBe(1)
  const reported: object[] = []
  await mine?.run(update => reported.push(update), signal)
  const comment = 'The service that drove the job went away without ending it.'
  expect(reported).toMatchObject([{ uuid, status: 'failed', metadata: { comment } }])
})
