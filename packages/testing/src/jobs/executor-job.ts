/** Makes jobs as a miner sends them to an executor, runs them, and checks that nothing of them is left. */
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/v0/job'
import type { ExecutorMessage } from '@horde/protocol/v0/miner-executor'
import { ZipFile } from 'yazl'
import { containersWith, volumesWith } from '../local-engine.ts'
import { type Connection, receive, type TestExecutor, type TestMiner } from '../peers/miner-for-executors.ts'

const ECHO = 'compute-horde/echo:v0'
export const PYTHON = 'compute-horde/python:3.11'

/** The label of a job's containers and volumes. Its value is the job's uuid. */
const JOB_LABEL = 'compute-horde.job'
/** The prefix of an executor's folders in the system's temporary folder. */
const FOLDER_PREFIX = 'compute-horde-executor'

export interface Job {
  job_uuid: string
  offer: Record<string, unknown>
  work: Record<string, unknown>
}

export interface JobParts {
  image?: string
  script?: string
  args?: string[]
  files?: Record<string, string>
  volume?: { volume_type: string; contents: string }
  preset?: string
  timeoutSeconds?: number | null
  upload?: Record<string, unknown> | null
  offeredImage?: string | null
}

/** Returns a zip file with these files, in base64. */
export async function zipBase64(files: Record<string, string>): Promise<string> {
  return (await zipBytes(files)).toString('base64')
}

export async function zipBytes(files: Record<string, string>): Promise<Buffer> {
  const zip = new ZipFile()
  for (const [name, text] of Object.entries(files)) zip.addBuffer(Buffer.from(text), name)
  zip.end()
  const chunks: Buffer[] = []
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

export async function job(parts: JobParts): Promise<Job> {
  const job_uuid = randomUUID()
  const image = parts.image ?? (parts.script === undefined ? ECHO : '')
  const contents = parts.files ? await zipBase64(parts.files) : EMPTY_ZIP_BASE64
  const volume = parts.volume ?? { volume_type: 'inline', contents }
  return {
    job_uuid,
    offer: {
      message_type: 'V0PrepareJobRequest',
      job_uuid,
      base_docker_image_name: parts.offeredImage === undefined ? image || null : parts.offeredImage,
      timeout_seconds: parts.timeoutSeconds === undefined ? 60 : parts.timeoutSeconds,
      volume_type: volume.volume_type,
    },
    work: {
      message_type: 'V0RunJobRequest',
      job_uuid,
      docker_image_name: image,
      raw_script: parts.script ?? '',
      docker_run_options_preset: parts.preset ?? 'none',
      docker_run_cmd: parts.args ?? [],
      volume,
      output_upload: parts.upload ?? null,
    },
  }
}

/** Starts a new executor, offers it the job, and resolves once it is ready. */
export async function readied(miner: TestMiner, wanted: Job, env: Record<string, string> = {}) {
  const executor = miner.spawn(env)
  const connection = await executor.connection()
  await connection.send(wanted.offer)
  await receive(connection, 'V0ReadyRequest')
  return { executor, connection }
}

type Result = Extract<ExecutorMessage, { docker_process_stdout: string }>

/** Runs a job on a new executor. Checks that the executor exits with 0 and leaves nothing, and returns the result. */
export async function result(miner: TestMiner, parts: JobParts, env: Record<string, string> = {}): Promise<Result> {
  const wanted = await job(parts)
  const { executor, connection } = await readied(miner, wanted, env)
  await connection.send(wanted.work)
  const answer = await resultOn(connection).catch(cause => {
    throw new Error(`no result; the executor's log:\n${executor.log}`, { cause })
  })
  await expectGoodEnd(executor, connection)
  await expectNothingLeft(wanted, executor)
  return answer
}

export async function resultOn(connection: Connection): Promise<Result> {
  const parsed = await connection.receive()
  if (!parsed?.ok || !('docker_process_stdout' in parsed.message)) {
    throw new Error(`expected a result, received ${JSON.stringify(parsed)}`)
  }
  return parsed.message
}

/** Throws when a container, volume or folder of a job or of its executor still exists. */
export async function expectNothingLeft(wanted: Job, executor: TestExecutor): Promise<void> {
  const label = `${JOB_LABEL}=${wanted.job_uuid}`
  const [containers, volumes, ofExecutor] = await Promise.all([
    containersWith(label),
    volumesWith(label),
    leftBy(executor),
  ])
  const left = [...containers.map(({ id }) => id), ...volumes.map(({ id }) => id), ...ofExecutor]
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
}

/** Returns the containers, volumes and folders that an executor made and did not remove. */
export async function leftBy({ process: { pid } }: TestExecutor): Promise<string[]> {
  const [containers, volumes, names] = await Promise.all([
    containersWith(EXECUTOR_LABEL),
    volumesWith(EXECUTOR_LABEL),
    readdir(tmpdir()),
  ])
  const isOurs = new RegExp(`^process/.*/${pid}/\\d+$`)
  const labelled = [...containers, ...volumes].filter(({ labels }) => isOurs.test(labels[EXECUTOR_LABEL] ?? ''))
  const folders = names.filter(name => name.startsWith(FOLDER_PREFIX) && name.includes(`-${pid}-`))
  return [...labelled.map(({ id }) => id), ...folders]
}

export async function expectGoodEnd(executor: TestExecutor, connection: Connection): Promise<void> {
  const { code } = await connection.closed
  const exit = await executor.exit()
  if (code !== 1000 || exit !== 0) throw new Error(`closed with ${code}, exited with ${exit}: ${executor.log}`)
}
