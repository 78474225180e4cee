import { type Database, inTransaction } from '@horde/kit/database'
import { and, asc, desc, eq, gte, inArray, isNotNull, isNull } from 'drizzle-orm'
import { batches, type SettingState, weightSettings } from './schema.ts'

export type WeightSetting = typeof weightSettings.$inferSelect

/** Weights that are about to be sent. */
export type NewSetting = Omit<
  typeof weightSettings.$inferInsert,
  'id' | 'state' | 'commitEpoch' | 'committedAt' | 'commitBlock' | 'endedAt' | 'block' | 'blockHash' | 'refusal'
>

/** Stores weights that are about to be sent. Returns the setting's id. */
export async function planSetting(db: Database, setting: NewSetting): Promise<number> {
  const [row] = await db
    .insert(weightSettings)
    .values({ ...setting, state: 'planned' })
    .returning({ id: weightSettings.id })
  if (!row) throw new Error('the database returned no id for a new weight setting')
  return row.id
}

export interface Commitment {
  at: Date
  block: number
  /** The epoch in which the chain counts it. */
  epoch: number
}

/** Marks a setting as committed, and its batches as scored: they stay so as long as the commit can be revealed. */
export function commitSetting(db: Database, id: number, { at, block, epoch }: Commitment): Promise<void> {
  return inTransaction(db, async tx => {
    const moved = { state: 'committed', committedAt: at, commitBlock: block, commitEpoch: BigInt(epoch) } as const
    const [row] = await tx
      .update(weightSettings)
      .set(moved)
      .where(and(eq(weightSettings.id, id), eq(weightSettings.state, 'planned')))
      .returning()
    if (row) await scoreBatches(tx, row, at)
  })
}

export interface Inclusion {
  at: Date
  block: number
  blockHash: string | null
}

/** Marks a setting as included and its batches as scored, in one transaction. */
export function settleSetting(db: Database, id: number, inclusion: Inclusion): Promise<void> {
  const { at, block, blockHash } = inclusion
  return inTransaction(db, async tx => {
    const [row] = await tx
      .update(weightSettings)
      .set({ state: 'included', endedAt: at, block, blockHash })
      .where(and(eq(weightSettings.id, id), inArray(weightSettings.state, ['planned', 'committed'])))
      .returning()
    if (row) await scoreBatches(tx, row, at)
  })
}

/** Marks a setting as refused: its batches will be scored by the next setting, those of a commit too. */
export function refuseSetting(db: Database, id: number, refusal: { at: Date; why: string }): Promise<void> {
  const { at, why } = refusal
  return inTransaction(db, async tx => {
    const [row] = await tx
      .update(weightSettings)
      .set({ state: 'refused', endedAt: at, refusal: why })
      .where(and(eq(weightSettings.id, id), inArray(weightSettings.state, ['planned', 'committed'])))
      .returning()
    if (row) await unscoreBatches(tx, row, row.committedAt)
  })
}

/** Returns a hotkey's last included setting and those included up to `withinMs` ms before it, the youngest first. */
export async function lastIncluded(
  db: Database,
  netuid: number,
  hotkey: string,
  withinMs: number,
): Promise<WeightSetting[]> {
  const isIncluded = and(ofHotkey(netuid, hotkey), eq(weightSettings.state, 'included'))
  const [youngest] = await db
    .select({ endedAt: weightSettings.endedAt })
    .from(weightSettings)
    .where(and(isIncluded, isNotNull(weightSettings.endedAt)))
    .orderBy(desc(weightSettings.endedAt))
    .limit(1)
  if (!youngest?.endedAt) return []
  const since = new Date(youngest.endedAt.getTime() - withinMs)
  return db
    .select()
    .from(weightSettings)
    .where(and(isIncluded, gte(weightSettings.endedAt, since)))
    .orderBy(desc(weightSettings.id))
}

const isStillIn = ({ id, blockHash }: WeightSetting) =>
  and(eq(weightSettings.id, id), eq(weightSettings.state, 'included'), eq(weightSettings.blockHash, blockHash ?? ''))

/** Stores the new block of included weights whose block a fork has replaced. */
export async function moveInclusion(db: Database, setting: WeightSetting, to: Omit<Inclusion, 'at'>): Promise<void> {
  await db.update(weightSettings).set({ block: to.block, blockHash: to.blockHash }).where(isStillIn(setting))
}

/**
 * Handles included weights whose block a fork has replaced and that are in no block. Weights that were set directly
 * become planned again, and their batches unscored. Weights of a commit become committed again, and their batches stay
 * scored.
 */
export function takeBackInclusion(db: Database, setting: WeightSetting): Promise<void> {
  const state = setting.method === 'set' ? 'planned' : 'committed'
  return inTransaction(db, async tx => {
    const [row] = await tx
      .update(weightSettings)
      .set({ state, endedAt: null, block: null, blockHash: null })
      .where(isStillIn(setting))
      .returning({ id: weightSettings.id })
    if (row && state === 'planned') await unscoreBatches(tx, setting, setting.endedAt)
  })
}

/** Stores the new block of a commit whose block a fork has replaced. */
export async function moveCommit(db: Database, id: number, { block, epoch }: Omit<Commitment, 'at'>): Promise<void> {
  await db
    .update(weightSettings)
    .set({ commitBlock: block, commitEpoch: BigInt(epoch) })
    .where(and(eq(weightSettings.id, id), eq(weightSettings.state, 'committed')))
}

/** Handles a commit whose block a fork has replaced and that is in no block: planned again, its batches unscored. */
export function takeBackCommit(db: Database, setting: WeightSetting): Promise<void> {
  return inTransaction(db, async tx => {
    const [row] = await tx
      .update(weightSettings)
      .set({ state: 'planned', committedAt: null, commitBlock: null, commitEpoch: null })
      .where(and(eq(weightSettings.id, setting.id), eq(weightSettings.state, 'committed')))
      .returning({ id: weightSettings.id })
    if (row) await unscoreBatches(tx, setting, setting.committedAt)
  })
}

/** Marks the batches as unscored that a setting scored at a moment; not those that another setting scored. */
async function unscoreBatches(tx: Database, { batchIds }: WeightSetting, scoredAt: Date | null): Promise<void> {
  if (!scoredAt || batchIds.length === 0) return
  await tx
    .update(batches)
    .set({ scoredAt: null })
    .where(and(inArray(batches.id, batchIds), eq(batches.scoredAt, scoredAt)))
}

async function scoreBatches(tx: Database, { batchIds }: WeightSetting, at: Date): Promise<void> {
  if (batchIds.length === 0) return
  await tx
    .update(batches)
    .set({ scoredAt: at })
    .where(and(inArray(batches.id, batchIds), isNull(batches.scoredAt)))
}

const ofHotkey = (netuid: number, hotkey: string) =>
  and(eq(weightSettings.netuid, netuid), eq(weightSettings.hotkey, hotkey))

/** Returns a hotkey's settings in a state, oldest first. */
export function settingsIn(
  db: Database,
  netuid: number,
  hotkey: string,
  state: SettingState,
): Promise<WeightSetting[]> {
  return db
    .select()
    .from(weightSettings)
    .where(and(ofHotkey(netuid, hotkey), eq(weightSettings.state, state)))
    .orderBy(asc(weightSettings.id))
}

/** Returns a hotkey's last setting, in whichever state. */
export async function lastSetting(db: Database, netuid: number, hotkey: string): Promise<WeightSetting | undefined> {
  const [row] = await db
    .select()
    .from(weightSettings)
    .where(ofHotkey(netuid, hotkey))
    .orderBy(desc(weightSettings.id))
    .limit(1)
  return row
}
