/** Jobs that a real executor can do. */
import { randomUUID } from 'node:crypto'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/v0/job'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/v0/validator-miner'
import type { ValidatorPeer } from '@horde/testing/peers/validator'
import { expect } from 'vitest'

/** A job for a real executor. */
export function scriptJob(
  raw_script: string,
  timeout_seconds = 60,
): { offer: V0InitialJobRequest; work: V0JobRequest } {
  const job_uuid = randomUUID() as never
  const offer = { job_uuid, base_docker_image_name: null, timeout_seconds, volume_type: 'inline' as const }
  return {
    offer: { message_type: 'V0InitialJobRequest', ...offer, executor_class: 'always_on.test' },
    work: {
      message_type: 'V0JobRequest',
      job_uuid,
      docker_image_name: null,
      raw_script,
      docker_run_options_preset: 'none',
      docker_run_cmd: [],
      volume: { volume_type: 'inline', contents: EMPTY_ZIP_BASE64 },
      output_upload: null,
    },
  }
}

/** Offers a job and sends its work when its executor is ready. */
export async function untilReady(validator: ValidatorPeer, job: ReturnType<typeof scriptJob>): Promise<void> {
  await validator.send(job.offer)
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
  expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
  await validator.send(job.work)
}
