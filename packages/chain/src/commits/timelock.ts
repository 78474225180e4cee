import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { initSync, tle } from '@ideallabs/timelock_wasm_wrapper'
import type { CommitReveal, SealedWeights, WeightsToSet } from '../chain.ts'
import { ChainError } from '../errors.ts'
import { TypeRegistry } from '../polkadot/api.ts'
import { blake2AsHex, decodeAddress } from '../polkadot/crypto.ts'
import { epochRange } from './epochs.ts'

/** drand's quicknet, whose rounds open what is sealed for them: a public constant, as the chain hash 52db9ba7…c84e971 says. */
const QUICKNET = {
  publicKey:
    '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451' +
    '0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a',
  genesisMs: 1_692_803_367_000,
  periodMs: 3_000,
} as const

/** Blocks into the epoch of the reveal at which the round comes: the chain must not know it before. */
const MARGIN_BLOCKS = 3

/** What a pulse may take from drand into a block: 24 rounds, as the Python SDK allowed for chains that look once. */
const PULSE_DELAY_MS = 72_000

/** A chain whose newest round is older than this does not hear of drand, in ms. */
const DRAND_SILENCE_MS = 600_000

const SECRET_BYTES = 32
const WASM = '@ideallabs/timelock_wasm_wrapper/timelock_wasm_wrapper_bg.wasm'

/** What the chain finds when it opens a commit: the newer call also wants to read whose it is. */
const PAYLOADS = {
  commit_timelocked_weights: '(Bytes,Vec<u16>,Vec<u16>,u64)',
  commit_crv3_weights: '(Vec<u16>,Vec<u16>,u64)',
} as const
type SealedCall = keyof typeof PAYLOADS

const registry = new TypeRegistry()
let isReady = false

/** What of these calls a chain offers, the newer first. */
export const sealedCallOf = ({ calls }: Pick<CommitReveal, 'calls'>): SealedCall | undefined =>
  (['commit_timelocked_weights', 'commit_crv3_weights'] as const).find(call => calls.includes(call))

/**
 * Seals weights so that the chain itself opens them in the epoch of their reveal, and nobody before.
 *
 * @throws ChainError Unsupported when the chain takes no sealed commits, or the subnet has no epochs
 */
export function sealWeights(row: WeightsToSet, hotkey: string, state: CommitReveal, nowMs: number): SealedWeights {
  const call = sealedCallOf(state)
  if (!call) throw new ChainError('Unsupported', 'the chain takes no sealed commits')
  const round = revealRound(state, call, nowMs)
  const ciphertext = sealFor(round, payloadOf(row, hotkey, call))
  const hash = sealHash(ciphertext)
  return { netuid: row.netuid, call, version: state.sealedVersion, ciphertext, round, hash }
}

/**
 * The round that opens a commit, as of a block that was made just now. A chain of today looks for it in every block of the
 * epoch of the reveal, so it comes a few blocks into that. Chains of `commit_crv3_weights` look once, in the block before
 * the epoch as we count it, and drop what they can not open then: the round comes well before that block.
 */
export function revealRound(
  state: Pick<CommitReveal, 'epochs' | 'revealPeriodEpochs' | 'block' | 'blockMs'>,
  call: SealedCall,
  nowMs: number,
): number {
  const first = firstBlockOfReveal(state)
  if (call === 'commit_timelocked_weights')
    return roundAt(nowMs + (first + MARGIN_BLOCKS - state.block) * state.blockMs)
  const lookMs = nowMs + (first - 1 - state.block) * state.blockMs
  // What a round opens that is over is no secret, and the chain may refuse it.
  return Math.max(roundAt(lookMs - PULSE_DELAY_MS), roundAt(nowMs) + 1)
}

/**
 * The block to wait for before weights are sealed: the next epoch's, when the round of a commit made now might come too
 * late for the one look of the chain. Undefined when now is as good.
 */
export function sealableFrom(state: CommitReveal): number | undefined {
  const { epochs, block, blockMs } = state
  if (sealedCallOf(state) !== 'commit_crv3_weights' || epochs.nextBlock === null) return undefined
  const leftMs = (firstBlockOfReveal(state) - 1 - block) * blockMs
  const isLongEnough = epochs.lengthBlocks * blockMs > 2 * PULSE_DELAY_MS
  return isLongEnough && leftMs <= PULSE_DELAY_MS + MARGIN_BLOCKS * blockMs ? epochs.nextBlock : undefined
}

/** Whether the chain has heard of drand lately. Where it does not say, it is believed to have. */
export function hearsDrand({ drandRound }: Pick<CommitReveal, 'drandRound'>, nowMs: number): boolean {
  return drandRound === null || roundAt(nowMs - DRAND_SILENCE_MS) <= drandRound
}

function firstBlockOfReveal({
  epochs,
  revealPeriodEpochs,
}: Pick<CommitReveal, 'epochs' | 'revealPeriodEpochs'>): number {
  const range = epochRange(epochs, epochs.index + revealPeriodEpochs)
  if (!range) throw new ChainError('Unsupported', 'the subnet has no epochs')
  return range.first
}

const roundAt = (ms: number): number => Math.floor((ms - QUICKNET.genesisMs) / QUICKNET.periodMs)

function payloadOf(row: WeightsToSet, hotkey: string, call: SealedCall): Uint8Array {
  const said = [[...row.uids], [...row.weights], row.versionKey]
  if (call === 'commit_crv3_weights') return registry.createType(PAYLOADS[call], said).toU8a()
  // As bytes of a length that is said, unlike an account.
  const bytes = registry.createType('Bytes', `0x${Buffer.from(decodeAddress(hotkey)).toString('hex')}`)
  return registry.createType(PAYLOADS[call], [bytes, ...said]).toU8a()
}

/** Under what a sealed commit is written down and found again: the BLAKE2b-256 of its ciphertext. */
export const sealHash = (ciphertext: Uint8Array): string => blake2AsHex(ciphertext, 256)

function sealFor(round: number, payload: Uint8Array): Uint8Array {
  // A megabyte of code, which only who seals commits needs.
  if (!isReady) initSync({ module: readFileSync(fileURLToPath(import.meta.resolve(WASM))) })
  isReady = true
  const said = Buffer.alloc(8)
  said.writeBigUInt64BE(BigInt(round))
  const identity = new Uint8Array(createHash('sha256').update(said).digest())
  const key = new Uint8Array(Buffer.from(QUICKNET.publicKey, 'hex'))
  const secret = new Uint8Array(randomBytes(SECRET_BYTES))
  return Uint8Array.from(tle(identity, payload, secret, key, 'bls12_381') as number[])
}
