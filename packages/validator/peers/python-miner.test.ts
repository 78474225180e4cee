/**
 * Our validator gives jobs to a miner that is built on the messages of the published package (compute-horde on PyPI).
 * The package parses every frame that the validator sends, and checks its signatures. `bin/setup --sdks` installs it.
 */
import { randomUUID } from 'node:crypto'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import type { OfferMessage, WorkMessage } from '@horde/protocol/job/messages'
import { NO_UPLOADS, type Uploads } from '@horde/protocol/job/uploads'
import { jobUuid } from '@horde/protocol/primitives'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { withDatabase } from '../test/db/databases.ts'
import { type DriveOptions, drive, MINER } from '../test/jobs/drive.ts'
import { POST, PUT, VOLUMES, WIRE_POST, WIRE_PUT, WIRE_ZIP, ZIP } from './job-parts.ts'
import { END, expectUnderstood, type PythonMiner, startPythonMiner, UP_TO_WORK } from './python-miner.ts'

const database = withDatabase()
let miner: PythonMiner
beforeAll(async () => {
  miner = await startPythonMiner()
})
afterAll(() => miner[Symbol.asyncDispose]())
/** The types of all frames of this file's jobs. */
const heard = new Set<string>()
afterEach(() => {
  for (const { type } of miner.lines) heard.add(type)
  expectUnderstood(miner.lines.splice(0))
})

const STAGES = { kind: 'stages', leeway: 5, download: 10, execution: 20, upload: 30, streamingStart: 0 } as const

type Parts = { offer?: Partial<OfferMessage>; work?: Partial<WorkMessage> }

/** A user's job that asks for nothing but its image. */
function jobOfUser({ offer, work }: Parts): Pick<DriveOptions, 'uuid' | 'spec'> {
  const uuid = randomUUID()
  const common = { jobUuid: jobUuid.parse(uuid), image: 'plain' }
  const nothing = { script: null, preset: 'none', args: [], env: {}, volumes: [], uploads: NO_UPLOADS }
  return {
    uuid,
    spec: {
      isOrganic: true,
      offer: {
        ...({ type: 'offer', executorClass: 'always_on.test', limits: STAGES, isStreaming: false } as const),
        ...{ ...common, volumeKind: null, volumes: [], ...offer },
      },
      work: { ...{ type: 'work', ...common, ...nothing, artifactsFolder: null }, ...work },
    },
  }
}

/** Drives a job to its end. Returns that, and what the miner received once the receipt of the end was there. */
async function give(options: Partial<DriveOptions>) {
  const address = { address: miner.address, hotkey: MINER }
  const executorClass = 'always_on.test'
  const job = await drive(address, {
    ...{ db: database().db, log: silentLog, clock: systemClock, executorClass, ...options },
  })
  await expect.poll(() => miner.lines.some(({ type }) => type === END)).toBe(true)
  const [offer, work] = ['V0InitialJobRequest', 'V0JobRequest'].map(
    type => miner.lines.find(line => line.type === type)?.understood ?? {},
  )
  return { ...job, offer: offer ?? {}, work: work ?? {}, types: miner.lines.map(({ type }) => type) }
}

describe('a job of a user', () => {
  it('is understood, and finishes', async () => {
    const { end, types, offer, work } = await give(jobOfUser({}))
    expect(end).toMatchObject({ state: 'finished', stdout: 'right' })
    expect(types).toEqual([...UP_TO_WORK, END])
    expect(offer).toMatchObject({
      ...{ volume: null, timeout_seconds: 300, job_started_receipt_payload: { is_organic: true } },
      executor_timing: { allowed_leeway: 5, download_time_limit: 10, execution_time_limit: 20, upload_time_limit: 30 },
    })
    expect(work).toMatchObject({ volume: null, output_upload: null, artifacts_dir: null, env: {} })
  })

  it.each([
    ['one limit for all its stages', { kind: 'whole', seconds: 60 }, { timeout_seconds: 60, executor_timing: null }],
    ['no limit', { kind: 'whole', seconds: null }, { executor_timing: null }],
    ['a limit of its run', { kind: 'run', seconds: 5 }, { executor_timing: { execution_time_limit: 5 } }],
  ] as const)('has %s', async (_, limits, expected) => {
    const { end, offer } = await give(jobOfUser({ offer: { limits } }))
    expect(end?.state).toBe('finished')
    expect(offer).toMatchObject(expected)
  })

  it('has variables, arguments, a script, a preset and a folder of artifacts', async () => {
    const env = { GREETING: 'grüezi \u007f 😀 $PATH', EMPTY: '' }
    const args = ['a b', '"', '\\', 'ü', '']
    const script = 'print("ß\\n")\n'
    const work = { env, args, script, preset: 'nvidia_all', artifactsFolder: '/artifacts' } as const
    expect((await give(jobOfUser({ work }))).work).toMatchObject({
      ...{ env, docker_run_cmd: args, raw_script: script, docker_run_options_preset: 'nvidia_all' },
      artifacts_dir: '/artifacts',
    })
  })
})

describe('the input of a job', () => {
  it.each(VOLUMES)('is %s', async (_, volume, expected) => {
    const { end, offer, work } = await give(jobOfUser({ offer: { volumes: [volume] }, work: { volumes: [volume] } }))
    expect(end?.state).toBe('finished')
    expect([offer.volume, work.volume]).toEqual([expected, null])
  })

  it('is all of these', async () => {
    const volumes = VOLUMES.map(([, volume]) => volume)
    const { offer } = await give(jobOfUser({ offer: { volumes } }))
    expect(offer.volume).toEqual({ volume_type: 'multi_volume', volumes: VOLUMES.map(([, , expected]) => expected) })
  })
})

describe('the output of a job', () => {
  const files = [
    { ...PUT, method: 'PUT' },
    { ...POST, method: 'POST' },
  ] as const
  it.each<[string, Partial<Uploads>, object]>([
    ['a zip by PUT', { zip: { ...ZIP, name: 'output.zip', method: 'PUT' } }, WIRE_ZIP],
    [
      'a zip by POST',
      { zip: { ...ZIP, name: 'output.zip', method: 'POST', formFields: { a: 'b' } } },
      { output_upload_type: 'zip_and_http_post', url: ZIP.url, form_fields: { a: 'b' } },
    ],
    [
      'single files by PUT and POST',
      { files: [...files] },
      { output_upload_type: 'multi_upload', uploads: [WIRE_PUT, WIRE_POST], system_output: null },
    ],
    [
      'single files and a zip of the rest',
      { files: [...files], zip: { ...ZIP, name: 'system_output', method: 'PUT' } },
      { output_upload_type: 'multi_upload', uploads: [WIRE_PUT, WIRE_POST], system_output: WIRE_ZIP },
    ],
  ])('is %s', async (_, uploads, expected) => {
    const { end, work } = await give(jobOfUser({ work: { uploads: { ...NO_UPLOADS, ...uploads } } }))
    expect(end?.state).toBe('finished')
    expect(work.output_upload).toEqual(expected)
  })
})

describe('a job that does not finish has a receipt of its end, too:', () => {
  const image = (name: string) => jobOfUser({ offer: { image: name }, work: { image: name } })
  it.each([
    ['one that is declined', 'declined', 'rejected', 'no-free-executor', 2],
    ['one whose executor does not start', 'not-prepared', 'broken', 'executor-not-started', 3],
    ['one that fails', 'failed', 'failed', 'exit-status', 4],
  ])('%s', async (_, name, state, reason, before) => {
    const judge = () => ({ reason: 'exit-status', score: null, rightAnswer: null, comment: null }) as const
    const job = image(name)
    const { end, types } = await give({ ...job, spec: { ...job.spec, judge } })
    expect([end?.state, end?.reason]).toEqual([state, reason])
    expect(types).toEqual([...UP_TO_WORK.slice(0, before), END])
  })

  it('one whose miner sends what is no message, and gets an error', async () => {
    const { end, types } = await give(image('errors'))
    expect(end?.state).toBe('finished')
    expect(types.toSorted()).toEqual([...UP_TO_WORK, END, 'GenericError'].toSorted())
  })

  it('one whose connection is lost, after a new authentication', async () => {
    const { end, types } = await give(image('lost'))
    expect(end?.state).toBe('finished')
    expect(types).toEqual([...UP_TO_WORK, 'ValidatorAuthForMiner', END])
  })
})

it('has covered every message of a validator but the question for the main hotkey, which ours does not ask', () => {
  expect([...heard, 'V0MainHotkeyMessage'].toSorted()).toEqual(miner.types.toSorted())
})
