/** Brings back what a job left: reads its artifacts and makes its uploads. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { JobOutput } from '@horde/protocol/job/report'
import type { JobWork } from '@horde/protocol/job/request'
import type { ExecutorSettings } from '../config.ts'
import type { CapturedOutput } from '../container/captured-output.ts'
import { JobFailure, withinDeadline } from '../job/job-failure.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { readArtifacts } from './artifacts.ts'
import { deliverOutputs } from './deliver-outputs.ts'

const ARTIFACTS_CUT = 'Some artifacts are left out, because there are too many or they are too large together.'

export interface ReturnDeps {
  workspace: Workspace
  settings: ExecutorSettings
  clock: Clock
  log: Log
}

export type Returned = Pick<JobOutput, 'artifacts' | 'uploadAnswers'>

/** Returns whether a job wants anything back besides what it printed. */
export function wantsOutputs({ uploads, artifactsFolder }: JobWork): boolean {
  return uploads.files.length > 0 || uploads.zip !== null || artifactsFolder !== null
}

/**
 * Returns the artifacts and the answers of the uploads. Adds to stderr what its reader must know.
 *
 * @param ms how long it may take
 * @returns the failure instead, when the job is at fault; its sentence is added to stderr, too
 */
export async function returnOutputs(
  { uploads, artifactsFolder }: JobWork,
  output: CapturedOutput,
  ms: number,
  { workspace, settings, clock, log }: ReturnDeps,
  signal: AbortSignal,
): Promise<Returned | JobFailure> {
  const limits = {
    maxZipBytes: settings.OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES,
    maxBytes: settings.OUTPUT_MAX_SIZE_BYTES,
    maxFiles: settings.OUTPUT_MAX_FILES,
    allowPrivate: settings.ALLOW_PRIVATE_TARGETS,
  }
  const { folder } = workspace
  const outputs = { openTar: () => workspace.readOutput(), printed: output, folder }
  try {
    return await withinDeadline('The output was not uploaded', ms, signal, async (stage, msLeft) => {
      const artifacts = artifactsFolder === null ? null : await artifactsOf(artifactsFolder, workspace, output, stage)
      const hasUploads = uploads.files.length > 0 || uploads.zip !== null
      const deps = { msLeft, clock, log }
      const uploadAnswers = hasUploads ? await deliverOutputs(uploads, outputs, limits, deps, stage) : null
      return { artifacts, uploadAnswers }
    })
  } catch (error) {
    if (!(error instanceof JobFailure)) throw error
    await output.note(error.message)
    return error
  }
}

async function artifactsOf(
  artifactsFolder: string,
  workspace: Workspace,
  output: CapturedOutput,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const source = { openTar: () => workspace.readArtifacts(), folder: workspace.folder }
  const { files, areCut } = await readArtifacts(source, artifactsFolder, signal)
  if (areCut) await output.note(ARTIFACTS_CUT)
  return files
}
