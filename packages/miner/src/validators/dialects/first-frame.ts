/** Tells by a connection's first frame which dialect its validator speaks. */
import type { ValidatorDialect } from './dialect.ts'
import { dialectV0 } from './v0.ts'
import { dialectV2026 } from './v2026.ts'

/** What validators of v2026 may say before their authentication: it waits for it. v0 has none of these. */
const WAITING = ['V0MainHotkeyMessage', 'V0JobAcceptedReceiptRequest', 'V0JobFinishedReceiptRequest']

/** Returns the dialect that the frame shows; v0 for a frame that shows none. `waits`: it is no authentication. */
export function dialectOfFirst(frame: string | Uint8Array): { dialect: ValidatorDialect; waits: boolean } {
  const type = messageTypeOf(frame)
  const waits = typeof type === 'string' && WAITING.includes(type)
  return { dialect: waits || type === 'ValidatorAuthForMiner' ? dialectV2026 : dialectV0, waits }
}

function messageTypeOf(frame: string | Uint8Array): unknown {
  if (typeof frame !== 'string') return undefined
  try {
    return (JSON.parse(frame) as { message_type?: unknown } | null)?.message_type
  } catch {
    return undefined
  }
}
