/** Our validator gives batches and users' jobs, as its service does, to a miner of the published package. */
import { randomUUID } from 'node:crypto'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { hotkey, jobUuid } from '@horde/protocol/primitives'
import type { FacilitatorJobRequest } from '@horde/protocol/v0/facilitator-validator'
import { frameOf } from '@horde/protocol/v2026/frame'
import { HOST } from '@horde/testing/peers/scripted-miner'
import { USER, userJob } from '@horde/testing/peers/v2026/facilitator'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { runBatch } from '../src/batches/run-batch.ts'
import { MinerManifests } from '../src/jobs/miners/miner-manifests.ts'
import { MinerPicker } from '../src/jobs/miners/pick-miner.ts'
import { readFacilitatorFrame } from '../src/organic/facilitator-frame.ts'
import { runOrganicJob } from '../src/organic/run-organic-job.ts'
import { runUserJob } from '../src/organic/users/run-user-job.ts'
import { requestOf } from '../test/batches/run-scripts.ts'
import { withDatabase } from '../test/db/databases.ts'
import { AT_ONCE, MINER, PATIENT, unknownDialects, VALIDATOR } from '../test/jobs/drive.ts'
import { VOLUMES, WIRE_POST, WIRE_PUT, WIRE_ZIP } from './job-parts.ts'
import { END, expectUnderstood, type PythonMiner, startPythonMiner, UP_TO_WORK } from './python-miner.ts'

const database = withDatabase()
let miner: PythonMiner
beforeAll(async () => {
  miner = await startPythonMiner()
})
afterAll(() => miner[Symbol.asyncDispose]())
afterEach(() => expectUnderstood(miner.lines.splice(0)))

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

it('a job of a facilitator of v2026, which asks for everything, on a miner that the validator picks', async () => {
  const volume = { volume_type: 'multi_volume', volumes: VOLUMES.map(([, , expected]) => expected) }
  const output_upload = {
    output_upload_type: 'multi_upload',
    uploads: [WIRE_PUT, WIRE_POST],
    system_output: WIRE_ZIP,
  }
  const everything = { env: { GREETING: 'grüezi' }, volume, output_upload, artifacts_dir: '/artifacts' }
  const asked = userJob({ ...everything, docker_image: 'plain', args: ['a b', '"'] })
  const frame = readFacilitatorFrame(frameOf(asked))
  if (frame.type !== 'user-job') throw new Error(`it is read as ${frame.type}`)
  const axon = { ip: HOST, port: Number(miner.address.split(':')[1]), ipType: 4 as const, protocol: 4, version: 0 }
  const known = {
    uid: 0,
    hotkey: MINER.ss58,
    coldkey: MINER.ss58,
    stakeRao: 0n,
    validatorPermit: false,
    lastUpdate: 0,
  }
  const neurons = [{ ...known, axon: { ...axon, block: 1 } }]
  const parts = { ...deps(), log: silentLog, netuid: 1, allowPrivate: true, manifestMs: 10_000, keptMs: 60_000 }
  const chain = { metagraph: async () => ({ netuid: 1, block: 1, neurons }) }
  const manifests = new MinerManifests({ ...parts, maxExecutors: 64 })
  const statuses: string[] = []
  await runUserJob(
    frame,
    {
      ...{ ...parts, reconnect: AT_ONCE, limits: { ...PATIENT, readyMs: 10_000, jobMs: 60_000, manifestMs: 10_000 } },
      rules: { signers: new Set([USER.ss58]), maxAgeMs: 3_600_000, once: true },
      picker: new MinerPicker({ ...parts, hotkey: VALIDATOR.ss58, chain, manifests, random: () => 0 }),
      ...{ trustedMiner: async () => undefined, maxTries: 1, maxSeconds: 3_600, keepOpen: true },
    },
    ({ status }) => void statuses.push(status),
    new AbortController().signal,
  )
  expect(statuses.at(-1)).toBe('completed')
  await expect.poll(() => miner.lines.some(({ type }) => type === END)).toBe(true)
  // The manifest is read over a connection of its own.
  expect(miner.lines.map(({ type }) => type)).toEqual(['ValidatorAuthForMiner', ...UP_TO_WORK, END])
  const [offer, work] = [miner.lines[2]?.understood, miner.lines[4]?.understood]
  expect(offer).toMatchObject({ volume, executor_timing: { download_time_limit: 10, upload_time_limit: 30 } })
  const { env, artifacts_dir } = everything
  expect(work).toMatchObject({ env, artifacts_dir, output_upload, volume: null, docker_run_cmd: ['a b', '"'] })
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
