/** Collects a container's output until the container ends, also if the engine restarts meanwhile. */
import type { Readable } from 'node:stream'
import type { Containers } from '@horde/engine/containers'
import type { Clock } from '@horde/kit/time'
import type { CapturedOutput, CaptureEnd } from './captured-output.ts'
import { type Absences, acrossRestart } from './engine-restart.ts'

export interface Followed {
  how: CaptureEnd
  /** Where the connection was cut, in bytes of each text. Output may be missing at these places. */
  cuts: Cut[]
}

export type Cut = CapturedOutput['written']

export interface FollowDeps {
  containers: Pick<Containers, 'attach' | 'isRunning'>
  output: CapturedOutput
  clock: Clock
  /** Resolves when the container has ended. */
  ended: Promise<unknown>
  absences: Absences
}

/**
 * Collects an attached stream, up to so many bytes. When the stream ends or breaks because the engine went away, it
 * attaches again if the container still runs.
 */
export async function followOutput(
  id: string,
  attached: Readable,
  maxBytes: number,
  { containers, output, clock, ended, absences }: FollowDeps,
  signal: AbortSignal,
): Promise<Followed> {
  let stream = attached
  let known = absences.count
  const stop = () => stream.destroy()
  signal.addEventListener('abort', stop, { once: true })
  const cuts: Cut[] = []
  try {
    for (;;) {
      const how = await output.collect(stream, maxBytes).catch(error => {
        signal.throwIfAborted()
        if (!isCut(error)) throw error
        return 'complete' as const
      })
      // Otherwise the connection stays half open.
      stream.destroy()
      if (how === 'over the cap') return { how, cuts }
      await Promise.race([ended, absences.moreThan(known)])
      if (absences.count === known) return { how, cuts }
      known = absences.count
      cuts.push(output.written)
      if (!(await acrossRestart(() => containers.isRunning(id), clock, signal))) return { how, cuts }
      // If the container has ended since, the engine does not answer until the signal aborts.
      stream = await containers.attach(id, signal)
      signal.throwIfAborted()
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stream.destroy()
  }
}

/** Returns whether the connection failed, and not the disk that stores the output. */
function isCut(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException
  return ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes(code)
}
