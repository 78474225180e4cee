import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { HOLDER_IMAGE } from '../../src/workspace/holder.ts'
import { JOB_LABEL } from '../../src/workspace/identity.ts'

/** Resolves with its id when a job's own container runs. */
export async function untilRunning({ job_uuid }: { job_uuid: string }): Promise<string> {
  const list = ['ps', '--no-trunc', '--filter', `label=${JOB_LABEL}=${job_uuid}`, '--format', '{{.ID}} {{.Image}}']
  for (;;) {
    const { stdout } = await promisify(execFile)('docker', list)
    const lines = stdout.split('\n').map(line => line.split(' '))
    const [id] = lines.find(([, image]) => image !== undefined && image !== HOLDER_IMAGE) ?? []
    if (id) return id
  }
}
