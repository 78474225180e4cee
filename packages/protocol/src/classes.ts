/** The hardware classes of executors. */
import type { Preset } from './job/preset.ts'

export type ClassTraits = {
  /** How long an executor of this class may take from its reservation to being ready, in seconds. */
  spinUpSeconds: number
  /** The preset of a synthetic job of this class. */
  preset: Preset
  /** The least memory of each GPU, in MiB, as nvidia-smi reports it: without what ECC takes. Undefined: no GPU. */
  gpuMemoryMib: number | undefined
}

export const CLASSES = {
  'always_on.gpu-24gb': { spinUpSeconds: 3, preset: 'nvidia_all', gpuMemoryMib: 22_000 },
  'spin_up-4min.gpu-24gb': { spinUpSeconds: 240, preset: 'nvidia_all', gpuMemoryMib: 22_000 },
  'always_on.llm.a6000': { spinUpSeconds: 30, preset: 'nvidia_all', gpuMemoryMib: 45_000 },
  'always_on.cpu.8c.16gb': { spinUpSeconds: 30, preset: 'none', gpuMemoryMib: undefined },
  'always_on.test': { spinUpSeconds: 3, preset: 'none', gpuMemoryMib: undefined },
} as const satisfies Record<string, ClassTraits>

export type ExecutorClass = keyof typeof CLASSES

/** The class of a job whose offer names none, and of the single executor of a miner without a manifest. */
export const DEFAULT_CLASS: ExecutorClass = 'always_on.gpu-24gb'

export const EXECUTOR_CLASSES = Object.keys(CLASSES) as [ExecutorClass, ...ExecutorClass[]]

export function isExecutorClass(name: string): name is ExecutorClass {
  return Object.hasOwn(CLASSES, name)
}
