/** Ends an executor that is a process, whoever's child it is. */
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'

export type Stoppable = { isGone(): boolean; kill(signal: NodeJS.Signals): void; exited: Promise<string> }

/** SIGTERM, and when it takes longer to clean up than it may, SIGKILL. Resolves when it is gone. */
export async function stopProcess(
  { isGone, kill, exited }: Stoppable,
  { stopWithinMs, clock }: { stopWithinMs: number; clock: Clock },
): Promise<void> {
  if (isGone()) return
  kill('SIGTERM')
  try {
    await withDeadline(exited, stopWithinMs, 'executor exit', clock)
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
    kill('SIGKILL')
    await exited
  }
}
