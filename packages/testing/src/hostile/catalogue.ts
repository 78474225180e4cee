/** Hostile jobs of every kind that we know. */
import { bombs } from './jobs/bombs.ts'
import { fillers } from './jobs/fillers.ts'
import { images } from './jobs/images.ts'
import { outputs } from './jobs/outputs.ts'
import { printing } from './jobs/printing.ts'
import { probes } from './jobs/probes.ts'
import { survivors } from './jobs/survivors.ts'
import type { Trial } from './trial.ts'

const MIB = 1024 * 1024

/** Limits so small that a job reaches them soon, and that the machine survives if one does not hold. */
const TIGHT = {
  MEMORY_LIMIT_BYTES: `${128 * MIB}`,
  TMP_SIZE_BYTES: `${8 * MIB}`,
  SHM_SIZE_BYTES: `${4 * MIB}`,
  OUTPUT_MAX_SIZE_BYTES: `${16 * MIB}`,
  FOLDER_MAX_FILES: '2000',
  PIDS_LIMIT: '64',
  OPEN_FILES_LIMIT: '256',
  MAX_OUTPUT_BYTES: '200000',
}

const tightly = (trials: readonly Trial[]) =>
  trials.map(each => ({ ...each, settings: { ...TIGHT, ...each.settings } }))

/** The jobs whose script is hostile. */
export const hostileScripts: readonly Trial[] = tightly([
  ...bombs,
  ...fillers,
  ...printing,
  ...survivors,
  ...outputs,
  ...probes,
])

/** The jobs whose image is hostile. */
export const hostileImages: readonly Trial[] = tightly(images)
