/** Receipts and pins in the miner's database. */
import type { Database } from '@horde/kit/database'
import { eq, inArray, lt } from 'drizzle-orm'
import { pins, receipts, type SignedReceipt } from './schema.ts'

/** Rows that one statement removes: it must be short. */
const ROWS_AT_ONCE = 500

/** Stores a receipt. The first one of its type for a job counts. */
export async function insertReceipt(db: Database, receipt: SignedReceipt, at: Date): Promise<void> {
  const { payload, validatorSignature, minerSignature } = receipt
  const { validator_hotkey: validator, job_uuid: jobUuid, receipt_type: receiptType } = payload
  const row = { validator, jobUuid, receiptType, payload, validatorSignature, minerSignature, storedAt: at }
  await db.insert(receipts).values(row).onConflictDoNothing()
}

/** Removes receipts that were stored before a time, in batches. Aborting `signal` ends it. Returns how many. */
export async function removeReceipts(db: Database, before: Date, signal: AbortSignal): Promise<number> {
  let removed = 0
  for (let rows = ROWS_AT_ONCE; rows === ROWS_AT_ONCE && !signal.aborted; removed += rows) {
    const old = db
      .select({ id: receipts.id })
      .from(receipts)
      .where(lt(receipts.storedAt, before))
      .orderBy(receipts.id)
      .limit(ROWS_AT_ONCE)
    rows = (await db.delete(receipts).where(inArray(receipts.id, old)).returning({ id: receipts.id })).length
  }
  return removed
}

/** Returns until when a validator is pinned; undefined when it never was. */
export async function pinnedUntil(db: Database, validator: string): Promise<Date | undefined> {
  const rows = await db.select({ until: pins.until }).from(pins).where(eq(pins.validator, validator))
  return rows[0]?.until
}

export async function storePin(db: Database, validator: string, until: Date): Promise<void> {
  await db.insert(pins).values({ validator, until }).onConflictDoUpdate({ target: pins.validator, set: { until } })
}

/** Returns false when the validator was not pinned. */
export async function removePin(db: Database, validator: string): Promise<boolean> {
  const rows = await db.delete(pins).where(eq(pins.validator, validator)).returning({ validator: pins.validator })
  return rows.length > 0
}
