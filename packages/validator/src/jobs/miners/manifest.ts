/** Reads the manifest in which a miner lists its executors. */
import type { Clock } from '@horde/kit/time'
import { CLASSES, type ExecutorClass, isExecutorClass } from '@horde/protocol/classes'
import type { Preset } from '@horde/protocol/job/preset'
import type { Manifest } from '../dialects/miner-dialect.ts'
import type { MinerConnection } from '../miner-connection.ts'

export interface ManifestLimits {
  /** How long connecting to the miner may take, in ms. */
  connectMs: number
  /** How long a connected miner may take to send its manifest, in ms. */
  manifestMs: number
  /** When waiting ends at the latest, in ms of the monotonic clock. */
  endsAt: number
}

/**
 * Waits until the miner is connected and has sent its manifest. Returns undefined when none comes: from a v0 miner, or
 * from one that cannot be reached.
 */
export async function awaitManifest(
  connection: MinerConnection,
  { connectMs, manifestMs, endsAt }: ManifestLimits,
  clock: Clock,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  using channel = connection.channel()
  let until = clock.monotonic() + connectMs
  for (;;) {
    const event = await channel.next(Math.max(0, Math.min(until, endsAt) - clock.monotonic()), signal)
    if (event === undefined || event.type === 'over') return undefined
    if (event.type === 'manifest') return event.manifest
    if (event.type === 'connected') until = clock.monotonic() + manifestMs
    if (event.type === 'lost') until = clock.monotonic() + connectMs
  }
}

/**
 * Returns the class of each executor that a manifest lists, in its order and at most `max`; unknown classes are
 * skipped. A miner without a manifest has one executor of no named class.
 */
export function executorsOf(manifest: Manifest | undefined, max: number): (ExecutorClass | undefined)[] {
  if (!manifest) return [undefined]
  const executors: ExecutorClass[] = []
  for (const { executor_class: name, count } of manifest) {
    if (!isExecutorClass(name)) continue
    for (let i = 0; i < count && executors.length < max; i += 1) executors.push(name)
  }
  return executors
}

/**
 * Returns the class to ask for: the first with free executors in the manifest that suits the preset. A job without a
 * GPU runs on any class.
 */
export function classFor(preset: Preset, manifest: Manifest | undefined): ExecutorClass | undefined {
  const listed = (manifest ?? []).filter(({ count }) => count > 0).map(({ executor_class }) => executor_class)
  const known = listed.filter(isExecutorClass)
  return known.find(name => CLASSES[name].preset === preset) ?? (preset === 'none' ? known[0] : undefined)
}
