/** A job in the hands of a miner of 2026 that speaks by hand. */
import { randomUUID } from 'node:crypto'
import { expectNothingLeft, PYTHON } from '@horde/testing/jobs/executor-job'
import type { TestExecutor, TestMiner } from '@horde/testing/peers/miner-for-executors'
import type { RawConnection, RawMiner, Received } from '@horde/testing/peers/raw-miner'
import { expect } from 'vitest'

const LOCAL = { ALLOW_PRIVATE_TARGETS: 'true', RECONNECT_DELAY_SECONDS: '0.05' }
/** Much longer than any stage of these jobs takes, in seconds. */
const LONG = 100
export const AMPLE = {
  allowed_leeway: LONG,
  download_time_limit: LONG,
  execution_time_limit: LONG,
  upload_time_limit: LONG,
  streaming_start_time_limit: 1,
}

export interface Parts {
  /** More fields of the offer, or others. */
  offer?: Record<string, unknown>
  /** More fields of the work, or others. */
  work?: Record<string, unknown>
  /** A Python program. */
  script?: string
  env?: Record<string, string>
  /** What the miner names as `--startup-time-limit`. */
  startupSeconds?: number
}

/** A file in /output to be put at a URL. */
export function filePut(url: string, relative_path: string, signed_headers: Record<string, string> | null = null) {
  return { output_upload_type: 'single_file_put', url, relative_path, signed_headers }
}

export function filePost(url: string, relative_path: string, form_fields: Record<string, string> | null = null) {
  return { output_upload_type: 'single_file_post', url, form_fields, relative_path, signed_headers: null }
}

export class Job2026 {
  readonly job_uuid = randomUUID()
  readonly offer: Record<string, unknown>
  readonly work: Record<string, unknown>
  readonly executor: TestExecutor
  /** The newest. */
  connection: RawConnection
  readonly #miner: RawMiner

  private constructor(parts: Parts, executor: TestExecutor, connection: RawConnection, miner: RawMiner) {
    this.executor = executor
    this.connection = connection
    this.#miner = miner
    this.offer = { ...offerOf(this.job_uuid), ...parts.offer }
    this.work = { ...workOf(this.job_uuid, parts), ...parts.work }
  }

  /** Starts an executor, which connects. */
  static async begin(miner: RawMiner, spawner: TestMiner, parts: Parts = {}): Promise<Job2026> {
    const args = ['manage.py', 'run_executor', '--startup-time-limit', `${parts.startupSeconds ?? LONG}`]
    const executor = spawner.spawn({ ...LOCAL, MINER_ADDRESS: miner.url, ...parts.env }, undefined, args)
    return new Job2026(parts, executor, await miner.arrival(executor), miner)
  }

  /** Returns a message of the executor about this job. */
  message(message_type: string, fields: Record<string, unknown> = {}) {
    return { message_type, job_uuid: this.job_uuid, ...fields }
  }

  async expect(message_type: string, fields: Record<string, unknown> = {}): Promise<Received> {
    const heard = await this.connection.receive()
    expect(heard, this.executor.log).toEqual(this.message(message_type, fields))
    return heard
  }

  async prepare(): Promise<void> {
    this.connection.send(this.offer)
    await this.expect('V0ExecutorReadyRequest', { executor_token: null })
  }

  /** Sends the work of a ready job, and expects all its stages. */
  async run(): Promise<void> {
    this.connection.send(this.work)
    await this.expect('V0VolumesReadyRequest')
    await this.expect('V0ExecutionDoneRequest')
  }

  async expectFinished(fields: Record<string, unknown> = {}): Promise<void> {
    const nothing = { docker_process_stdout: '', docker_process_stderr: '', artifacts: {}, upload_results: {} }
    await this.expect('V0JobFinishedRequest', { ...nothing, ...fields })
    await this.expectEnd()
  }

  async expectFailed(reason: string, stage: string, fields: Record<string, unknown> = {}): Promise<void> {
    const rest = {
      message: expect.any(String),
      docker_process_exit_status: null,
      docker_process_stdout: null,
      docker_process_stderr: null,
      context: null,
    }
    await this.expect('V0JobFailedRequest', { ...rest, reason, stage, ...fields })
    await this.expectEnd()
  }

  async expectHordeFailed(reason: string, context: Record<string, string>, message?: string): Promise<void> {
    const text = message ?? expect.any(String)
    await this.expect('V0HordeFailedRequest', { reported_by: 'executor', message: text, reason, context })
    await this.expectEnd()
  }

  /** Acknowledges the answer. Expects the executor to exit with 0 and to leave nothing. */
  async expectEnd(): Promise<void> {
    expect(await this.connection.receive()).toEqual({ closed: 1000 })
    this.connection.close(1000)
    expect(await this.executor.exit()).toBe(0)
    await expectNothingLeft({ job_uuid: this.job_uuid, offer: this.offer, work: this.work }, this.executor)
  }

  /** Closes the connection as a miner does that restarts, and waits for the next. */
  async reconnect(): Promise<void> {
    this.connection.close(1001)
    this.connection = await this.#miner.arrival(this.executor)
  }
}

function offerOf(job_uuid: string) {
  return {
    message_type: 'V0InitialJobRequest',
    job_uuid,
    executor_class: 'always_on.test',
    docker_image: PYTHON,
    timeout_seconds: null,
    volume: null,
    job_started_receipt_payload: {
      job_uuid,
      miner_hotkey: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
      validator_hotkey: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
      timestamp: '2026-01-21T13:18:47.123456Z',
      receipt_type: 'JobStartedReceipt',
      executor_class: 'always_on.test',
      is_organic: true,
      ttl: 7,
    },
    job_started_receipt_signature: 'x',
    streaming_details: null,
    executor_timing: AMPLE,
  }
}

function workOf(job_uuid: string, { script = '' }: Parts) {
  return {
    message_type: 'V0JobRequest',
    job_uuid,
    executor_class: 'always_on.test',
    docker_image: PYTHON,
    raw_script: null,
    docker_run_options_preset: 'none',
    docker_run_cmd: ['python', '-c', script],
    env: {},
    volume: null,
    output_upload: null,
    artifacts_dir: null,
  }
}
