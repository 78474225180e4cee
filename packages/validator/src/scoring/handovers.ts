import type { Metagraph } from '@horde/chain/metagraph'
import type { ScoredNeuron } from '../db/schema.ts'

/** A uid that has another hotkey now than when the weights were computed. */
export interface Handover {
  uid: number
  /** The hotkey whose scores made its weight. */
  from: string
  /** The hotkey that has the uid now. */
  to: string
}

/** Finds the uids of a setting that have changed hotkeys since its weights were computed. */
export function handoversIn(setting: { scores: readonly ScoredNeuron[] }, { neurons }: Metagraph): Handover[] {
  return setting.scores.flatMap(({ uid, hotkey: from }) => {
    const to = neurons[uid]?.hotkey
    return to === undefined || to === from ? [] : [{ uid, from, to }]
  })
}
