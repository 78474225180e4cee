/** Runs a job on a new executor, and compares its answer with the expected one. */
import { buffer } from 'node:stream/consumers'
import { withDeadline } from '@horde/kit/time'
import { fromBuffer, type ZipFile } from 'yauzl'
import { result } from '../jobs/executor-job.ts'
import { JOB_MS } from '../limits.ts'
import { UploadServer } from '../peers/http-target.ts'
import type { TestMiner } from '../peers/miner-for-executors.ts'
import { type Answer, complaintsAbout, type Trial } from './trial.ts'
import type { TrialImages } from './trial-images.ts'

const SHOWN_CHARACTERS = 2_000

export interface TrialDeps {
  miner: TestMiner
  images: TrialImages
}

/** Returns a sentence for each difference. Rejects when there is no answer, and when something is left of the job. */
export async function runTrial(trial: Trial, { miner, images }: TrialDeps): Promise<string[]> {
  const image = trial.image === undefined ? {} : { image: await images.ready(trial.name, trial.image) }
  await using uploads = await UploadServer.start()
  const upload = trial.uploads && uploads.put('/output')
  const parts = { ...trial.parts, ...image, upload: upload ?? null }
  const settings = { ALLOW_PRIVATE_TARGETS: 'true', ...trial.settings }
  const answer = await withDeadline(result(miner, parts, settings), JOB_MS, trial.name)
  const complaints = complaintsAbout(answer as Answer, trial.expected)
  if (trial.uploads === undefined) return complaints
  const uploaded = await filesOf(uploads.arrived.at(-1)?.zip)
  const isRight = trial.uploads.some(expected => sorted(uploaded) === sorted(expected))
  return isRight ? complaints : [...complaints, `uploaded: ${sorted(uploaded).slice(0, SHOWN_CHARACTERS)}`]
}

/**
 * Returns the files of a zip by name, without the job's stdout and stderr. Adds an entry for each unusual file mode.
 */
async function filesOf(zip: Buffer | undefined): Promise<Record<string, string>> {
  if (zip === undefined) return { 'no zip': '' }
  const files: Record<string, string> = {}
  const opened = await new Promise<ZipFile>((resolve, reject) => {
    fromBuffer(zip, { lazyEntries: true, decodeStrings: false }, (error, file) =>
      error ? reject(error) : resolve(file),
    )
  })
  return new Promise((resolve, reject) => {
    opened.on('error', reject).on('end', () => resolve(files))
    opened.on('entry', entry => {
      const name = (entry.fileName as unknown as Buffer).toString()
      const mode = entry.externalFileAttributes >>> 16
      opened.openReadStream(entry, async (error, stream) => {
        if (error) return reject(error)
        const text = (await buffer(stream)).toString()
        if (name !== 'stdout.txt' && name !== 'stderr.txt') files[name] = text
        if ((mode & ~0o100777) !== 0) files[`${name} has mode ${mode.toString(8)}`] = ''
        opened.readEntry()
      })
    })
    opened.readEntry()
  })
}

function sorted(files: Record<string, string>): string {
  return JSON.stringify(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)))
}
