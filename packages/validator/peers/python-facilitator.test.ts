/**
 * The published package of 2026 (compute-horde on PyPI) signs users' jobs as its SDK does, and reads every frame that our
 * validator sends its facilitator. `bin/setup --sdks` installs it.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type Peer2026, play2026 } from '@horde/testing/peers/v2026/scripted-miner'
import { eq } from 'drizzle-orm'
import { beforeAll, expect, it } from 'vitest'
import { userJobs } from '../src/db/schema.ts'
import { withDatabase } from '../test/db/databases.ts'
import { VALIDATOR } from '../test/jobs/drive.ts'
import { startUserWorld } from '../test/users/user-world.ts'

const PYTHON = fileURLToPath(new URL('../../../.venvs/compute-horde/bin/python', import.meta.url))
const SCRIPT = fileURLToPath(new URL('python-facilitator.py', import.meta.url))

const database = withDatabase()
beforeAll(() => {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing: run bin/setup --sdks`)
})

interface Asked {
  jobs?: object[]
  cheats?: object[]
  frames?: string[]
}
interface Answered {
  /** Signed, as frames. */
  jobs: string[]
  cheats: string[]
  frames: { error?: string; verifies?: boolean; hotkey?: string; message?: unknown }[]
}

async function python(asked: Asked): Promise<Answered> {
  const child = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  child.stdin.end(JSON.stringify({ user: '//User', jobs: [], cheats: [], frames: [], ...asked }))
  const output = await text(child.stdout)
  expect(await closed, output).toBe(0)
  return JSON.parse(output.trim().split('\n').at(-1) ?? '')
}

const job = (fields: object = {}) => ({
  ...{ uuid: randomUUID(), executor_class: 'always_on.test', docker_image: 'echo:v0', args: ['a', 'é"\\'] },
  ...{ env: { B: '2', '10': '1' }, download_time_limit: 10, execution_time_limit: 20, upload_time_limit: 30 },
  ...{ streaming_start_time_limit: 5, ...fields },
})

const FULL = {
  volume: {
    volume_type: 'multi_volume',
    volumes: [
      { volume_type: 'inline', contents: 'UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==', relative_path: 'in' },
      { volume_type: 'zip_url', contents: 'https://example.com/a.zip' },
      { volume_type: 'single_file', url: 'https://example.com/b', relative_path: 'd/b.bin' },
      { volume_type: 'huggingface_volume', repo_id: 'org/model', allow_patterns: ['*.json'] },
    ],
  },
  output_upload: {
    output_upload_type: 'multi_upload',
    uploads: [
      {
        ...{ output_upload_type: 'single_file_put', url: 'https://example.com/put?x=1', relative_path: 'o/1.bin' },
        signed_headers: { 'X-B': '1', '7': '2' },
      },
      {
        ...{ output_upload_type: 'single_file_post', url: 'https://example.com/post', relative_path: 'o/2.bin' },
        form_fields: { key: 'v' },
      },
    ],
    system_output: { output_upload_type: 'zip_and_http_put', url: 'https://example.com/zip' },
  },
  artifacts_dir: '/artifacts',
}

const failed = { message: 'why', docker_process_stdout: 'o', docker_process_stderr: 'e' }
/** What the miner does with each job, in turn: after the offer, or after the work. */
const ENDS: [when: 'offered' | 'working', type: string, fields: object, status: string][] = [
  [
    ...(['working', 'V0JobFinishedRequest'] as const),
    {
      ...{ docker_process_stdout: 'ü', docker_process_stderr: '', artifacts: { '/artifacts/a': 'aGk=' } },
      upload_results: { 'o/1.bin': '{"headers":{},"body":""}' },
    },
    'completed',
  ],
  ['offered', 'V0DeclineJobRequest', { reason: 'busy', message: 'full' }, 'rejected'],
  ['offered', 'V0DeclineJobRequest', { reason: 'invalid_receipt', message: 'no' }, 'rejected'],
  [
    ...(['working', 'V0JobFailedRequest'] as const),
    { ...failed, reason: 'nonzero_return_code', stage: 'execution', docker_process_exit_status: 3 },
    'failed',
  ],
  ['working', 'V0JobFailedRequest', { ...failed, reason: 'upload_failed', stage: 'result_upload' }, 'failed'],
  [
    ...(['working', 'V0HordeFailedRequest'] as const),
    {
      reported_by: 'executor',
      reason: 'security_check_failed',
      message: 'CVE',
      context: { stage: 'executor_startup' },
    },
    'horde_failed',
  ],
  ['working', 'V0ExecutorFailedRequest', {}, 'horde_failed'],
]

it('signs jobs that the validator runs, and reads each of its frames with all their words', async () => {
  const turns = new Map<unknown, number>()
  const script = async (peer: Peer2026) => {
    await play2026.authenticated(peer)
    const offer = await peer.receive('V0InitialJobRequest')
    const [when = 'working', type, fields] = ENDS[turns.get(offer.job_uuid) ?? ENDS.length] ?? []
    if (when === 'working') {
      for (const stage of ['V0AcceptJobRequest', 'V0ExecutorReadyRequest']) peer.sendForJob(stage)
      await peer.receive('V0JobAcceptedReceiptRequest')
      await peer.receive('V0JobRequest')
      peer.sendForJob('V0VolumesReadyRequest')
    }
    // A job beyond the table gets no answer.
    if (type !== undefined) peer.sendForJob(type, fields)
    await peer.gone
  }
  await using world = await startUserWorld({ db: database().db, maxTries: 1, miners: [{ v2026: script }] })
  const { facilitator } = world
  const asked = ENDS.map((_, i) => job(i === 0 ? FULL : {}))
  const cheat = { job_uuid: asked[0]?.uuid, trusted_job_uuid: randomUUID(), details: { z: 1, a: 'é' } }
  const refused = [job({ executor_class: 'always_on.llm.a6000' }), job({ docker_image: '' })]
  const silent = job({ download_time_limit: 0, execution_time_limit: 0, upload_time_limit: 0 })
  const signed = await python({ jobs: [...asked, ...refused, silent], cheats: [cheat] })
  for (const [i, { uuid }] of asked.entries()) turns.set(uuid, i)
  for (const [i, frame] of signed.jobs.entries()) {
    const { uuid } = JSON.parse(frame) as { uuid: string }
    facilitator.peers[0]?.send(frame)
    await facilitator.until(() =>
      facilitator.statuses(uuid).some(status => ['completed', 'rejected', 'failed', 'horde_failed'].includes(status)),
    )
    const expected = ENDS[i]?.[3] ?? (uuid === silent.uuid ? 'failed' : 'rejected')
    expect(facilitator.statuses(uuid).at(-1), `job ${i}`).toBe(expected)
  }
  for (const frame of signed.cheats) facilitator.peers[0]?.send(frame)
  const cheated = async () =>
    (
      await database()
        .db.select()
        .from(userJobs)
        .where(eq(userJobs.uuid, asked[0]?.uuid ?? ''))
    )[0]?.cheatedAt
  await expect.poll(cheated).toBeInstanceOf(Date)
  // A job that the package's own parser refuses is answered, too.
  const malformed = { ...JSON.parse(signed.jobs[0] ?? ''), uuid: randomUUID(), download_time_limit: 'soon' }
  await facilitator.ask(malformed)

  const { frames } = await python({ frames: [...facilitator.frames, '{"message_type":"V0Heartbeat"}'] })
  expect(frames.filter(({ error }) => error !== undefined)).toEqual([])
  expect(frames[0]).toEqual({ verifies: true, hotkey: VALIDATOR.ss58 })
  const sent = facilitator.frames.slice(1).map(frame => JSON.parse(frame))
  expect(frames.slice(1, -1).map(({ message }) => message)).toEqual(sent)
})
