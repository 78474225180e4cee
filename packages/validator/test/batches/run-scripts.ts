import type { Neuron } from '@horde/chain/metagraph'
import { type Hotkey, hotkeyFromUri } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { HOST, type Peer, type ScriptedMiner, startScriptedMiner } from '@horde/testing/peers/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { eq } from 'drizzle-orm'
import { expect } from 'vitest'
import { type BatchRequest, runBatch } from '../../src/batches/run-batch.ts'
import { batches, jobs } from '../../src/db/schema.ts'
import { AT_ONCE, PATIENT, RIGHT, unknownDialects, VALIDATOR } from '../jobs/drive.ts'

export const NETUID = 7

export type Script = (peer: Peer) => Promise<unknown>

const neuron = (uid: number, hotkey: Hotkey, port: number | undefined): Neuron => ({
  ...{ uid, hotkey: hotkey.ss58, coldkey: hotkey.ss58, stakeRao: 0n, validatorPermit: false, lastUpdate: 0 },
  axon: port === undefined ? null : { ip: HOST, port, ipType: 4, protocol: 4, version: 0, block: 1 },
})

/** Runs a batch on miners with these scripts. Uid 0 is the validator, and the last uid announces no address. */
export async function runScripts(
  scripts: Script[],
  db: Database,
  request: Partial<BatchRequest> & { clock?: Clock } = {},
  signal = new AbortController().signal,
  /** Called after the batch, before the miners close. */
  meanwhile: () => Promise<unknown> = async () => undefined,
) {
  await using stack = new AsyncDisposableStack()
  const clock = request.clock ?? stack.use(turnClock())
  const miners: ScriptedMiner[] = []
  for (const [i, script] of scripts.entries()) {
    const act = async (peer: Peer) => void (await script(peer))
    miners.push(stack.use(await startScriptedMiner(hotkeyFromUri(`//miner/${i}`), act)))
  }
  const neurons = [
    neuron(0, VALIDATOR, 9),
    ...miners.map((miner, i) => neuron(i + 1, miner.hotkey, miner.port)),
    neuron(miners.length + 1, hotkeyFromUri('//idle'), undefined),
  ]
  const chain = { metagraph: async (netuid: number) => ({ netuid, block: 1, neurons }) }
  const deps = { chain, hotkey: VALIDATOR, dialects: unknownDialects(), db, clock, log: silentLog }
  const report = await runBatch(requestOf(request), deps, signal)
  const before = await rowsOf(db, report.id)
  const later = await meanwhile()
  for (const miner of miners) expect(miner.mistakes).toEqual([])
  return { report, miners, later, ...before }
}

async function rowsOf(db: Database, id: number) {
  const rows = await db.select().from(jobs).where(eq(jobs.batchId, id))
  const [row] = await db.select().from(batches).where(eq(batches.id, id))
  return { rows, row }
}

export function requestOf(request: Partial<BatchRequest>): BatchRequest {
  return {
    ...{ netuid: NETUID, allowPrivate: true, benchmark: RIGHT, scoring: { name: '2024' }, limits: PATIENT },
    ...{ starts: { atOnce: 1_000, perSecond: 10_000 }, maxJobsPerMiner: 4, gatherMs: 1_000 },
    ...{ deadlineMs: 20_000, keepOpen: false, reconnect: AT_ONCE },
    ...request,
  }
}
