/** All known hostile jobs. */
import { bombs } from './jobs/bombs.ts'
import { fillers } from './jobs/fillers.ts'
import { images } from './jobs/images.ts'
import { outputs } from './jobs/outputs.ts'
import { printing } from './jobs/printing.ts'
import { probes } from './jobs/probes.ts'
import { survivors } from './jobs/survivors.ts'
import type { Trial } from './trial.ts'

const MIB = 1024 * 1024

/** Limits that a job reaches soon. They are small, so that the machine survives a job that gets past one. */
const TIGHT_LIMITS = {
  MEMORY_LIMIT_BYTES: `${128 * MIB}`,
  TMP_SIZE_BYTES: `${8 * MIB}`,
  SHM_SIZE_BYTES: `${4 * MIB}`,
  OUTPUT_MAX_SIZE_BYTES: `${16 * MIB}`,
  FOLDER_MAX_FILES: '2000',
  PIDS_LIMIT: '64',
  OPEN_FILES_LIMIT: '256',
  MAX_OUTPUT_BYTES: '200000',
}

const withTightLimits = (trials: readonly Trial[]) =>
  trials.map(each => ({ ...each, settings: { ...TIGHT_LIMITS, ...each.settings } }))

/** Jobs whose script is hostile. */
export const hostileScripts: readonly Trial[] = withTightLimits([
  ...bombs,
  ...fillers,
  ...printing,
  ...survivors,
  ...outputs,
  ...probes,
])

/** Jobs whose image is hostile. */
export const hostileImages: readonly Trial[] = withTightLimits(images)
