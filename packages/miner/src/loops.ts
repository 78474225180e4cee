/** What is done every so often: who the validators are, what the chain says of us, what is kept no longer. */
import { startLoop } from '@horde/kit/loop'
import type { Announcer } from './announce/announcer.ts'
import type { MinerConfig } from './config.ts'
import { type EvictionDeps, startEviction } from './retention.ts'
import { type DismissDeps, dismissStrangers } from './validators/dismiss-strangers.ts'

export type LoopDeps = DismissDeps &
  EvictionDeps & {
    config: MinerConfig
    announcer: Announcer
  }

/** Starts them all; they end with `signal`, or with `stack`. */
export function startLoops(deps: LoopDeps, signal: AbortSignal, stack: AsyncDisposableStack): void {
  const { config, announcer, validators, clock, log } = deps
  const start = (name: string, everyMs: number, run: (signal: AbortSignal) => Promise<void>, firstAfterMs = 0) =>
    stack.use(startLoop({ name, everyMs, firstAfterMs, run, clock, log, signal }))
  start('validators', config.VALIDATORS_REFRESH_SECONDS * 1000, async aborted => {
    await unlessAborted(validators.refresh(), aborted)
    await dismissStrangers(deps)
  })
  stack.use(startEviction(config, deps, signal))
  if (config.MIGRATING) return
  start('announce', config.ANNOUNCE_SECONDS * 1000, aborted => unlessAborted(announcer.run(aborted), aborted))
}

/** A miner that stops need not wait for the chain, which may take minutes to answer; closing it ends the call. */
async function unlessAborted(call: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([call, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    call.catch(() => {})
  }
}
