import type { Metagraph } from '@horde/chain/metagraph'
import type { ScoredNeuron } from '../db/schema.ts'

/** A uid that belongs to another hotkey than when weights were made. */
export interface Handover {
  uid: number
  /** Whose scores made its weight. */
  from: string
  to: string
}

/** The uids of a setting that have changed hands since its weights were made. */
export function handoversIn(setting: { scores: readonly ScoredNeuron[] }, { neurons }: Metagraph): Handover[] {
  return setting.scores.flatMap(({ uid, hotkey: from }) => {
    const to = neurons[uid]?.hotkey
    return to === undefined || to === from ? [] : [{ uid, from, to }]
  })
}
