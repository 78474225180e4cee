/** Tells which dialect a miner speaks. Imports no schemas, because it is loaded at start-up. */
import type { Dialect } from './dialect.ts'

/** The messages by which a miner shows that it speaks v2026. Any other first message is read as v0. */
const OF_2026: readonly unknown[] = ['V0InitialJobRequest', 'V0JobRequest']

/** Returns the dialect of a miner's frame. Loads its schemas, and only those. */
export async function dialectOf(frame: string | Uint8Array): Promise<Dialect> {
  if (OF_2026.includes(messageTypeOf(frame))) return (await import('./dialect-v2026.ts')).dialectV2026()
  return (await import('./dialect-v0.ts')).dialectV0()
}

function messageTypeOf(frame: string | Uint8Array): unknown {
  if (typeof frame !== 'string') return undefined
  try {
    return (JSON.parse(frame) as { message_type?: unknown } | null)?.message_type
  } catch {
    return undefined
  }
}
