import { randomUUID } from 'node:crypto'
import type { WeightOf } from '@horde/chain/chain'
import { connectSubtensor, type Subtensor } from '@horde/chain/subtensor'
import { type Hotkey, hotkeyFromUri } from '@horde/chain/wallet'
import { type Devchain, type Genesis, startDevchain } from '@horde/devchain/devchain'
import type { Database } from '@horde/kit/database'
import { type Log, silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { eq } from 'drizzle-orm'
import { closeBatch, openBatch } from '../../src/batches/stored-batch.ts'
import { oneAtATime, type TryLock } from '../../src/db/lock.ts'
import { batches, jobs, weightSettings } from '../../src/db/schema.ts'
import { setWeights, type WeightsDeps, type WeightsOutcome, type WeightsRequest } from '../../src/set-weights.ts'
import { type RevealDeps, revealWeights } from '../../src/weights/reveal-weights.ts'

export const VALIDATOR = hotkeyFromUri('//Alice')
const RIVAL = hotkeyFromUri('//Rival')
const MINERS = ['//Bob', '//Charlie', '//Dave'].map(uri => hotkeyFromUri(uri).ss58)
const OWNER = hotkeyFromUri('//Owner').ss58
const TAO = 1_000_000_000n
const NEVER = new AbortController().signal

type Subnet = NonNullable<Genesis['subnets']>[number]
export interface NetOptions {
  blockMs?: number | 'per-extrinsic'
  stakeThreshold?: string
  subnets: { netuid: number; tempo?: number; hyperparameters?: Subnet['hyperparameters']; stakes?: [number, number] }[]
  /** How long the client may wait for the block of an extrinsic, in ms. */
  inclusionTimeoutMs?: number
  finalityLag?: number
}

export interface Net extends AsyncDisposable {
  devchain: Devchain
  chain: Subtensor
  mine(blocks: number): Promise<void>
  /** Makes blocks until `count` more epochs of a subnet have begun. */
  passEpochs(netuid: number, count: number): Promise<void>
  held(netuid: number): Promise<WeightOf[]>
  commits(netuid: number): Promise<string[]>
}

/** Starts a chain with our validator (uid 0), three miners (1 to 3) and another validator (4). Stakes are in TAO. */
export async function startNet(options: NetOptions): Promise<Net> {
  const { blockMs = 'per-extrinsic', stakeThreshold = '0', inclusionTimeoutMs = 10_000 } = options
  const subnets = options.subnets.map(({ netuid, tempo = 9, hyperparameters, stakes: [own, rival] = [10_000, 1] }) => ({
    ...{ netuid, tempo, hyperparameters: { WeightsSetRateLimit: 0, MinAllowedWeights: 1, ...hyperparameters } },
    neurons: [
      { hotkey: VALIDATOR.ss58, coldkey: OWNER, stake: String(BigInt(own) * TAO) },
      ...MINERS.map(hotkey => ({ hotkey, coldkey: OWNER })),
      { hotkey: RIVAL.ss58, coldkey: OWNER, stake: String(BigInt(rival) * TAO) },
    ],
  }))
  const devchain = await startDevchain({
    blockMs,
    finalityLag: options.finalityLag ?? 0,
    genesis: { sudo: OWNER, stakeThreshold, subnets },
  })
  const chain = await connectSubtensor({ endpoints: [devchain.url], inclusionTimeoutMs })
  const state = (netuid: number) => chain.commitReveal(netuid, VALIDATOR.ss58)
  const mine = async (blocks: number) => {
    for (let made = 0; made < blocks; made += 1) await devchain.mineBlock()
  }
  return {
    ...{ devchain, chain, mine },
    async passEpochs(netuid, count) {
      const { epochs } = await state(netuid)
      while ((await state(netuid)).epochs.index < epochs.index + count) await mine(1)
    },
    held: netuid => chain.weightsOf(netuid, 0),
    commits: async netuid => (await state(netuid)).commits.map(({ hash }) => hash),
    async [Symbol.asyncDispose]() {
      await chain[Symbol.asyncDispose]()
      await devchain[Symbol.asyncDispose]()
    },
  }
}

/** Saves a closed batch in which miner i has `scores[i]`. */
export async function scored(db: Database, netuid: number, scores: number[]): Promise<number> {
  const now = new Date()
  const rows = scores.map((_, i) => ({
    ...{ uuid: randomUUID(), minerHotkey: MINERS[i] ?? 'gone', minerUid: i + 1, minerAddress: '127.0.0.2:1' },
  }))
  const { batch } = await openBatch(db, { netuid, benchmark: 'sha256', startedAt: now, deadline: now, jobs: rows })
  const { id } = batch
  await closeBatch(db, { id, at: now, counts: true }, silentLog)
  for (const [i, { uuid }] of rows.entries())
    await db
      .update(jobs)
      .set({ score: scores[i] ?? 0 })
      .where(eq(jobs.uuid, uuid))
  return id
}

export const settingsOf = (db: Database, netuid: number) =>
  db.select().from(weightSettings).where(eq(weightSettings.netuid, netuid)).orderBy(weightSettings.id)

export async function isScored(db: Database, batchId: number): Promise<boolean> {
  const [batch] = await db.select().from(batches).where(eq(batches.id, batchId))
  return batch?.scoredAt != null
}

/** What one validator process does with weights, with one lock for setting and one for revealing. */
export interface Setter {
  set(
    netuid: number,
    over?: { request?: Partial<WeightsRequest>; chain?: Partial<WeightsDeps['chain']> },
  ): Promise<WeightsOutcome>
  reveal(netuid: number, over?: Partial<RevealDeps['chain']>): Promise<number | undefined>
}

export interface SetterOptions {
  hotkey?: Hotkey
  log?: Log
  tryLock?: TryLock
  /** The validator's clock, in ms since the epoch. */
  now?: () => number
}

export function setterOn(net: Net, db: Database, options: SetterOptions = {}): Setter {
  const { hotkey = VALIDATOR, log = silentLog, tryLock = oneAtATime('pglite', '', '', silentLog) } = options
  const tryRevealLock = oneAtATime('pglite', '', '', silentLog)
  const deps = { hotkey, db, clock: { ...systemClock, ...(options.now ? { now: options.now } : {}) }, log }
  const { chain } = net
  const methods: WeightsDeps['chain'] = {
    metagraph: netuid => chain.metagraph(netuid),
    hyperparameters: netuid => chain.hyperparameters(netuid),
    blockNumber: () => chain.blockNumber(),
    setWeights: (row, key) => chain.setWeights(row, key),
    weightsOf: (netuid, uid) => chain.weightsOf(netuid, uid),
    findWeights: (row, key, after) => chain.findWeights(row, key, after),
    blockFinality: (block, hash) => chain.blockFinality(block, hash),
    findCommit: (netuid, hash, key, after) => chain.findCommit(netuid, hash, key, after),
    commitReveal: (netuid, key) => chain.commitReveal(netuid, key),
    commitSealed: (sealed, key) => chain.commitSealed(sealed, key),
    commitWeights: (netuid, hash, key) => chain.commitWeights(netuid, hash, key),
  }
  const reveals: RevealDeps['chain'] = {
    commitReveal: methods.commitReveal,
    heldCommit: (commit, key) => chain.heldCommit(commit, key),
    metagraph: methods.metagraph,
    findReveal: (commit, key) => chain.findReveal(commit, key),
    revealWeights: (row, key) => chain.revealWeights(row, key),
  }
  const retry = { minMs: 1, maxMs: 1 }
  return {
    set: (netuid, over = {}) => {
      const request = { netuid, versionKey: 2, maxWaitBlocks: 10, blockPollMs: 20, retry, ...over.request }
      return setWeights(request, { ...deps, tryLock, chain: { ...methods, ...over.chain } }, NEVER)
    },
    reveal: (netuid, over = {}) =>
      revealWeights(netuid, { ...deps, tryLock: tryRevealLock, chain: { ...reveals, ...over } }, NEVER),
  }
}
