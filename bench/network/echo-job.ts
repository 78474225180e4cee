/** Makes `echo` jobs for a validator, and runs the same job as a plain `docker run`. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Hotkey } from '@horde/chain/wallet'
import { jobUuid } from '@horde/protocol/primitives'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/v0/validator-miner'
import { offer2026, signed2026, work2026 } from '@horde/testing/peers/v2026/validator'
import { validatorKey } from '@horde/testing/peers/validator'

const IMAGE = 'compute-horde/echo:v0'
const PAYLOAD = 'hello payload'
/** A zip file with one entry: payload.txt, which contains PAYLOAD. */
const INPUT_BASE64 =
  'UEsDBBQAAAAAAAxUdl3gLYzfDQAAAA0AAAALAAAAcGF5bG9hZC50eHRoZWxsbyBwYXlsb2FkUEsBAhQDFAAAAAAADFR2XeAtjN8NAAAADQAAAAsA' +
  'AAAAAAAAAAAAAIABAAAAAHBheWxvYWQudHh0UEsFBgAAAAABAAEAOQAAADYAAAAAAA=='

const run = promisify(execFile)

export function echoJob(): { offer: V0InitialJobRequest; work: V0JobRequest } {
  const job_uuid = jobUuid.parse(randomUUID())
  return {
    offer: {
      message_type: 'V0InitialJobRequest',
      job_uuid,
      base_docker_image_name: IMAGE,
      timeout_seconds: 60,
      volume_type: 'inline',
      executor_class: 'always_on.test',
    },
    work: {
      message_type: 'V0JobRequest',
      job_uuid,
      docker_image_name: IMAGE,
      raw_script: null,
      docker_run_options_preset: 'none',
      docker_run_cmd: [],
      volume: { volume_type: 'inline', contents: INPUT_BASE64 },
      output_upload: null,
    },
  }
}

/** The same job in v2026, signed. Executors look at neither key. */
export function echoJob2026(key: Hotkey = validatorKey(), minerHotkey: string = validatorKey().ss58) {
  const job_uuid = randomUUID()
  const changes = { docker_image: IMAGE, timeout_seconds: null, executor_timing: TIMING }
  const offer = offer2026(job_uuid, { key, changes, receipt: { miner_hotkey: minerHotkey } })
  return { job_uuid, offer: signed2026(offer, key), work: signed2026(work2026OfEcho(job_uuid), key) }
}

/** Work of v2026 that is not signed yet. */
export function work2026OfEcho(job_uuid: string, contents = INPUT_BASE64): object {
  const volume = { volume_type: 'inline', contents, relative_path: null }
  return work2026(job_uuid, { docker_image: IMAGE, docker_run_cmd: [], volume })
}

const TIMING = {
  allowed_leeway: 5,
  download_time_limit: 60,
  execution_time_limit: 60,
  upload_time_limit: 60,
  streaming_start_time_limit: 0,
}

/** Runs the image with the same input directly on the engine. */
export class PlainRuns implements AsyncDisposable {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(): Promise<PlainRuns> {
    const folder = await mkdtemp(join(tmpdir(), 'bench-'))
    // The container runs as another user, who must be able to read the folder.
    await chmod(folder, 0o755)
    await writeFile(join(folder, 'payload.txt'), PAYLOAD, { mode: 0o644 })
    return new PlainRuns(folder)
  }

  async run(): Promise<void> {
    await run('docker', ['run', '--rm', '--network', 'none', '-v', `${this.#folder}:/volume:ro`, IMAGE])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true })
  }
}

/** Returns how long `work` takes, in ms. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}
