/** A program that is run to its end where executors run, to see how it is there. */
export type Probe = {
  command: readonly string[]
  /** The GPUs that it is given, as a job of the pool would be; empty: none. */
  gpus: 'all' | readonly string[]
}

/** `missing`: there is no such program. `refused`: the engine could not give it what it was to have. */
export type ProbeResult = { exitCode: number; output: string } | { missing: true } | { refused: string }

/** How long such a program may run, in milliseconds. Beside a GPU that is lost nvidia-smi hangs. */
export const PROBE_MS = 15_000

export class ProbeTimeoutError extends Error {
  override readonly name = 'ProbeTimeoutError'
}
