import { type Database, inTransaction } from '@horde/kit/database'
import { and, desc, eq, inArray, isNull } from 'drizzle-orm'
import { batches, type ScoredNeuron, weightSettings } from './schema.ts'

/** What is about to be set. */
export type NewSetting = Pick<
  typeof weightSettings.$inferInsert,
  | 'netuid'
  | 'hotkey'
  | 'basis'
  | 'batchIds'
  | 'scores'
  | 'explanation'
  | 'uids'
  | 'weights'
  | 'versionKey'
  | 'plannedAt'
>

/** Writes down what is about to be set; returns the setting's id. */
export async function planSetting(db: Database, setting: NewSetting): Promise<number> {
  const [row] = await db
    .insert(weightSettings)
    .values({ ...setting, state: 'planned' })
    .returning({ id: weightSettings.id })
  if (!row) throw new Error('the database gave no id for a new weight setting')
  return row.id
}

export interface Inclusion {
  at: Date
  block: number
  blockHash: string | null
}

/** The weights are in a block: the setting says so and its batches are scored, both or neither. */
export function settleSetting(db: Database, id: number, inclusion: Inclusion): Promise<void> {
  const { at, block, blockHash } = inclusion
  return inTransaction(db, async tx => {
    const [row] = await tx
      .update(weightSettings)
      .set({ state: 'included', endedAt: at, block, blockHash })
      .where(and(eq(weightSettings.id, id), eq(weightSettings.state, 'planned')))
      .returning({ batchIds: weightSettings.batchIds })
    if (!row || row.batchIds.length === 0) return
    await tx
      .update(batches)
      .set({ scoredAt: at })
      .where(and(inArray(batches.id, row.batchIds), isNull(batches.scoredAt)))
  })
}

/** The weights were not set; the batches wait for the next setting. */
export async function refuseSetting(db: Database, id: number, refusal: { at: Date; why: string }): Promise<void> {
  const { at, why } = refusal
  await db
    .update(weightSettings)
    .set({ state: 'refused', endedAt: at, refusal: why })
    .where(and(eq(weightSettings.id, id), eq(weightSettings.state, 'planned')))
}

/** The scores of the last weights that a hotkey set, if it has set any. */
export async function lastScores(db: Database, netuid: number, hotkey: string): Promise<ScoredNeuron[] | undefined> {
  const [row] = await db
    .select({ scores: weightSettings.scores })
    .from(weightSettings)
    .where(
      and(eq(weightSettings.netuid, netuid), eq(weightSettings.hotkey, hotkey), eq(weightSettings.state, 'included')),
    )
    .orderBy(desc(weightSettings.id))
    .limit(1)
  return row?.scores
}
