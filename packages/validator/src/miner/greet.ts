import type { Clock } from '@horde/kit/time'
import type { Manifest, MinerLink } from './link.ts'

export interface GreetLimits {
  /** How long reaching the miner may take, in ms. */
  connectMs: number
  /** How long it may take, once connected, to tell a manifest, in ms. */
  manifestMs: number
  /** When nobody waits any longer, in ms of the monotonic clock. */
  endsAt: number
}

/**
 * Waits until a miner is connected and has told what executors it has. Undefined when it tells nothing: a miner of 2024,
 * or one that is not to be reached; whoever offers it a job learns which.
 */
export async function greet(
  link: MinerLink,
  { connectMs, manifestMs, endsAt }: GreetLimits,
  clock: Clock,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  using talk = link.listen()
  let until = clock.monotonic() + connectMs
  for (;;) {
    const event = await talk.next(Math.max(0, Math.min(until, endsAt) - clock.monotonic()), signal)
    if (event === undefined || event.type === 'over') return undefined
    if (event.type === 'manifest') return event.manifest
    if (event.type === 'connected') until = clock.monotonic() + manifestMs
    if (event.type === 'lost') until = clock.monotonic() + connectMs
  }
}
