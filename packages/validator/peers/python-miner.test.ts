/**
 * Our validator gives jobs to a miner that is built on the messages of the published package (compute-horde on PyPI).
 * The package parses every frame that the validator sends, and checks its signatures. `bin/setup --sdks` installs it.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import type { OfferMessage, WorkMessage } from '@horde/protocol/job/messages'
import { NO_UPLOADS, type Uploads } from '@horde/protocol/job/uploads'
import type { Volume } from '@horde/protocol/job/volumes'
import { hotkey, jobUuid } from '@horde/protocol/primitives'
import type { FacilitatorJobRequest } from '@horde/protocol/v0/facilitator-validator'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/v0/job'
import { HOST } from '@horde/testing/peers/scripted-miner'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { runBatch } from '../src/batches/run-batch.ts'
import { runOrganicJob } from '../src/organic/run-organic-job.ts'
import { requestOf } from '../test/batches/run-scripts.ts'
import { withDatabase } from '../test/db/databases.ts'
import { type DriveOptions, drive, MINER, PATIENT, unknownDialects, VALIDATOR } from '../test/jobs/drive.ts'

const PYTHON = fileURLToPath(new URL('../../../.venvs/compute-horde/bin/python', import.meta.url))
const SCRIPT = fileURLToPath(new URL('python-miner.py', import.meta.url))

/** What the package makes of a frame. */
interface Line {
  connection: number
  type: string
  /** The frame. */
  content: Record<string, unknown>
  /** The package's message, written by the package. */
  understood: Record<string, unknown>
  /** Whether the validator signed the frame; null for a frame without a signature. */
  signed: boolean | null
  /** Whether the receipt in it is good once the miner has signed it, too; null for a frame without one. */
  receipt: boolean | null
  /** Why the frame is malformed. */
  error?: string
}

interface PythonMiner extends AsyncDisposable {
  address: string
  /** The types of all messages of a validator. */
  types: string[]
  lines: Line[]
}

async function startPythonMiner(): Promise<PythonMiner> {
  const child = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  child.stdin.write(`${JSON.stringify({ validator: VALIDATOR.ss58, miner: '//Bob' })}\n`)
  const printed = createInterface({ input: child.stdout })
  const first = await Promise.race([once(printed, 'line'), closed.then(() => [])])
  const { port, types } = JSON.parse(String(first[0] ?? '{}')) as { port: number; types: string[] }
  const lines: Line[] = []
  printed.on('line', line => lines.push(JSON.parse(line)))
  const end = async () => {
    child.stdin.end()
    await closed
  }
  return { address: `${HOST}:${port}`, types, lines, [Symbol.asyncDispose]: end }
}

const database = withDatabase()
let miner: PythonMiner
beforeAll(async () => {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing: run bin/setup --sdks`)
  miner = await startPythonMiner()
})
afterAll(() => miner[Symbol.asyncDispose]())

const SIGNED = ['ValidatorAuthForMiner', 'V0InitialJobRequest', 'V0JobRequest']
const WITH_RECEIPT = ['V0InitialJobRequest', 'V0JobAcceptedReceiptRequest', 'V0JobFinishedReceiptRequest']
/** The types of all frames of this file's jobs. */
const heard = new Set<string>()

afterEach(() => {
  for (const { type, content, understood, signed, receipt, error } of miner.lines.splice(0)) {
    heard.add(type)
    expect(error).toBe(undefined)
    expect([type, signed]).toEqual([type, SIGNED.includes(type) ? true : null])
    expect([type, receipt]).toEqual([type, WITH_RECEIPT.includes(type) ? true : null])
    // The package keeps every field but one of ours, and changes none.
    const { capabilities, ...known } = content
    expect(understood).toEqual(known)
    if (type === 'ValidatorAuthForMiner') expect(capabilities).toEqual(['2026', 'large-frames'])
  }
})

const UP_TO_WORK = ['ValidatorAuthForMiner', 'V0InitialJobRequest', 'V0JobAcceptedReceiptRequest', 'V0JobRequest']
const END = 'V0JobFinishedReceiptRequest'
const STAGES = { kind: 'stages', leeway: 5, download: 10, execution: 20, upload: 30, streamingStart: 0 } as const

type Parts = { offer?: Partial<OfferMessage>; work?: Partial<WorkMessage> }

/** A user's job that asks for nothing but its image. */
function userJob({ offer, work }: Parts): Pick<DriveOptions, 'uuid' | 'spec'> {
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
    const { end, types, offer, work } = await give(userJob({}))
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
    const { end, offer } = await give(userJob({ offer: { limits } }))
    expect(end?.state).toBe('finished')
    expect(offer).toMatchObject(expected)
  })

  it('has variables, arguments, a script, a preset and a folder of artifacts', async () => {
    const env = { GREETING: 'grüezi \u007f 😀 $PATH', EMPTY: '' }
    const args = ['a b', '"', '\\', 'ü', '']
    const script = 'print("ß\\n")\n'
    const work = { env, args, script, preset: 'nvidia_all', artifactsFolder: '/artifacts' } as const
    expect((await give(userJob({ work }))).work).toMatchObject({
      ...{ env, docker_run_cmd: args, raw_script: script, docker_run_options_preset: 'nvidia_all' },
      artifacts_dir: '/artifacts',
    })
  })
})

const VOLUMES: [string, Volume, object][] = [
  [
    'a zip in the offer',
    { kind: 'inline-zip', base64: EMPTY_ZIP_BASE64, folder: null },
    { volume_type: 'inline', contents: EMPTY_ZIP_BASE64, relative_path: null },
  ],
  [
    'a zip behind a URL',
    { kind: 'zip-url', url: 'https://files.example/ü?a=1&b=%20', folder: 'in/put' },
    { volume_type: 'zip_url', contents: 'https://files.example/ü?a=1&b=%20', relative_path: 'in/put' },
  ],
  [
    'a file behind a URL',
    { kind: 'file-url', url: 'https://files.example/f', path: 'a/b.txt' },
    { volume_type: 'single_file', url: 'https://files.example/f', relative_path: 'a/b.txt' },
  ],
  [
    'a repository of Hugging Face',
    {
      ...{ kind: 'hugging-face', repoId: 'owner/name', repoType: 'dataset', revision: 'main', folder: 'data' },
      ...{ allowPatterns: ['*.json', 'a/**'], token: 'hf_secret' },
    },
    {
      ...{ volume_type: 'huggingface_volume', repo_id: 'owner/name', repo_type: 'dataset', revision: 'main' },
      ...{ relative_path: 'data', allow_patterns: ['*.json', 'a/**'], token: 'hf_secret' },
    },
  ],
]

describe('the input of a job', () => {
  it.each(VOLUMES)('is %s', async (_, volume, expected) => {
    const { end, offer, work } = await give(userJob({ offer: { volumes: [volume] }, work: { volumes: [volume] } }))
    expect(end?.state).toBe('finished')
    expect([offer.volume, work.volume]).toEqual([expected, null])
  })

  it('is all of these', async () => {
    const volumes = VOLUMES.map(([, volume]) => volume)
    const { offer } = await give(userJob({ offer: { volumes } }))
    expect(offer.volume).toEqual({ volume_type: 'multi_volume', volumes: VOLUMES.map(([, , expected]) => expected) })
  })
})

const PUT = { url: 'https://files.example/put', path: 'put.txt', headers: { 'X-A': 'ü' } }
const POST = { url: 'https://files.example/post', path: 'a/post.txt', headers: {}, formFields: { key: 'value' } }
const WIRE_PUT = {
  ...{ output_upload_type: 'single_file_put', url: PUT.url, relative_path: 'put.txt' },
  signed_headers: { 'X-A': 'ü' },
}
const WIRE_POST = {
  ...{ output_upload_type: 'single_file_post', url: POST.url, form_fields: { key: 'value' } },
  ...{ relative_path: 'a/post.txt', signed_headers: {} },
}
const ZIP = { url: 'https://files.example/zip', format: 'exact' } as const
const WIRE_ZIP = { output_upload_type: 'zip_and_http_put', url: ZIP.url }

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
    const { end, work } = await give(userJob({ work: { uploads: { ...NO_UPLOADS, ...uploads } } }))
    expect(end?.state).toBe('finished')
    expect(work.output_upload).toEqual(expected)
  })
})

describe('a job that does not finish has a receipt of its end, too:', () => {
  const image = (name: string) => userJob({ offer: { image: name }, work: { image: name } })
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

describe('as the service gives it', () => {
  const deps = () => ({ hotkey: VALIDATOR, dialects: unknownDialects(), db: database().db, clock: systemClock })

  it('a batch reads the manifest, and gives each executor a job', async () => {
    const chain = { metagraph: async (netuid: number) => ({ netuid, block: 1, neurons: [] }) }
    const only = [`${MINER.ss58}@${miner.address}`]
    const request = requestOf({ netuid: 2030, only, deadlineMs: 60_000 })
    const report = await runBatch(request, { ...deps(), chain, log: silentLog }, new AbortController().signal)
    expect(report.jobs.map(({ end }) => end?.state)).toEqual(['finished', 'finished'])
    await expect.poll(() => miner.lines.filter(({ type }) => type === END)).toHaveLength(2)
    const connections = Map.groupBy(miner.lines, ({ connection }) => connection)
    const types = [...connections.values()].map(lines => lines.map(({ type }) => type))
    expect(types).toEqual([['ValidatorAuthForMiner'], [...UP_TO_WORK, END], [...UP_TO_WORK, END]])
    // A synthetic job's input comes with its work.
    for (const { understood, type } of miner.lines) {
      if (type === 'V0InitialJobRequest') expect(understood).toMatchObject({ volume: null })
      if (type === 'V0JobRequest') expect(understood).toMatchObject({ volume: { volume_type: 'inline' } })
    }
  })

  it('a job of a facilitator of 2024', async () => {
    const uuid = jobUuid.parse(randomUUID())
    const request: FacilitatorJobRequest = {
      ...({
        type: 'job.new',
        message_type: 'V0JobRequest',
        uuid,
        miner_hotkey: hotkey.parse(MINER.ss58),
        env: {},
      } as const),
      ...{ docker_image: 'plain', raw_script: '', args: ['a'], use_gpu: false },
      ...{ input_url: 'https://files.example/in', output_url: 'https://files.example/out' },
    }
    const limits = { ...PATIENT, readyMs: 10_000, jobMs: 60_000, manifestMs: 10_000 }
    const result = await runOrganicJob(
      request,
      {
        ...{ ...deps(), log: silentLog, netuid: 1, allowPrivate: true, source: 'facilitator', limits },
        chain: { metagraph: () => Promise.reject(new Error('no chain')) },
        miner: { uid: 1, hotkey: MINER.ss58, address: miner.address },
        report: () => {},
      },
      new AbortController().signal,
    )
    expect(result?.state).toBe('finished')
    await expect.poll(() => miner.lines.some(({ type }) => type === END)).toBe(true)
    expect(miner.lines.map(({ type }) => type)).toEqual([...UP_TO_WORK, END])
    const [, offer, , work] = miner.lines
    expect(offer?.understood.volume).toMatchObject({ volume_type: 'zip_url', contents: request.input_url })
    expect(work?.understood.output_upload).toEqual({ output_upload_type: 'zip_and_http_put', url: request.output_url })
  })
})

it('has covered every message of a validator but the question for the main hotkey, which ours does not ask', () => {
  expect([...heard, 'V0MainHotkeyMessage'].toSorted()).toEqual(miner.types.toSorted())
})
