/** Makes `echo` jobs for a validator, and runs the same job as a plain `docker run`. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { jobUuid } from '@horde/protocol/primitives'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/v0/validator-miner'

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
