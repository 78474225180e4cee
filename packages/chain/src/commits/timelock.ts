import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { initSync, tle } from '@ideallabs/timelock_wasm_wrapper'
import type { CommitReveal, SealedWeights, WeightsToSet } from '../chain.ts'
import { ChainError } from '../errors.ts'
import { TypeRegistry } from '../polkadot/api.ts'
import { blake2AsHex, decodeAddress } from '../polkadot/crypto.ts'
import { epochRange } from './epochs.ts'

/** drand's quicknet (chain hash 52db9ba7…c84e971). Its rounds decrypt what was encrypted for them. */
const QUICKNET = {
  publicKey:
    '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451' +
    '0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a',
  genesisMs: 1_692_803_367_000,
  periodMs: 3_000,
} as const

/** The round must come this many blocks after the reveal epoch begins, so that the chain cannot know it earlier. */
const MARGIN_BLOCKS = 3

/** How long a drand pulse may take to get into a block, in ms: 24 rounds, as in the Python SDK for older chains. */
const PULSE_DELAY_MS = 72_000

/** If the chain's latest round is older than this, the chain no longer receives drand, in ms. */
const DRAND_SILENCE_MS = 600_000

const SECRET_BYTES = 32
const WASM = '@ideallabs/timelock_wasm_wrapper/timelock_wasm_wrapper_bg.wasm'

/** SCALE types of the encrypted data. The newer call also includes the hotkey. */
const PAYLOADS = {
  commit_timelocked_weights: '(Bytes,Vec<u16>,Vec<u16>,u64)',
  commit_crv3_weights: '(Vec<u16>,Vec<u16>,u64)',
} as const
type SealedCall = keyof typeof PAYLOADS

const registry = new TypeRegistry()
let isReady = false

/** Returns the call for sealed commits that a chain offers, preferring the newer; undefined if it offers none. */
export const sealedCallOf = ({ calls }: Pick<CommitReveal, 'calls'>): SealedCall | undefined =>
  (['commit_timelocked_weights', 'commit_crv3_weights'] as const).find(call => calls.includes(call))

/**
 * Encrypts weights so that the chain decrypts them in their reveal epoch, and nothing can decrypt them earlier.
 * @throws ChainError Unsupported when the chain has no sealed commits, or the subnet has no epochs
 */
export function sealWeights(row: WeightsToSet, hotkey: string, state: CommitReveal, nowMs: number): SealedWeights {
  const call = sealedCallOf(state)
  if (!call) throw new ChainError('Unsupported', 'the chain has no sealed commits')
  const round = revealRound(state, call, nowMs)
  const ciphertext = sealFor(round, payloadOf(row, hotkey, call))
  const hash = sealHash(ciphertext)
  return { netuid: row.netuid, call, version: state.sealedVersion, ciphertext, round, hash }
}

/**
 * Returns the drand round that will open a commit made now.
 *
 * A chain with `commit_timelocked_weights` tries to open commits in every block of the reveal epoch, so the round comes
 * a few blocks after that epoch begins. A chain with `commit_crv3_weights` tries only once, in the block before that
 * epoch, and drops a commit it cannot open then. So there the round comes well before that block.
 */
export function revealRound(
  state: Pick<CommitReveal, 'epochs' | 'revealPeriodEpochs' | 'block' | 'blockMs'>,
  call: SealedCall,
  nowMs: number,
): number {
  const first = firstBlockOfReveal(state)
  if (call === 'commit_timelocked_weights') {
    return roundAt(nowMs + (first + MARGIN_BLOCKS - state.block) * state.blockMs)
  }
  const openingMs = nowMs + (first - 1 - state.block) * state.blockMs
  // A past round would keep nothing secret, and the chain may refuse it.
  return Math.max(roundAt(openingMs - PULSE_DELAY_MS), roundAt(nowMs) + 1)
}

/**
 * Returns the block to wait for before sealing weights; undefined if sealing now is fine. On a chain that tries to open
 * commits only once, a commit made late in an epoch might get a round that comes too late. It then waits for the next
 * epoch.
 */
export function blockToSealAt(state: CommitReveal): number | undefined {
  const { epochs, block, blockMs } = state
  if (sealedCallOf(state) !== 'commit_crv3_weights' || epochs.nextBlock === null) return undefined
  const leftMs = (firstBlockOfReveal(state) - 1 - block) * blockMs
  const isLongEnough = epochs.lengthBlocks * blockMs > 2 * PULSE_DELAY_MS
  return isLongEnough && leftMs <= PULSE_DELAY_MS + MARGIN_BLOCKS * blockMs ? epochs.nextBlock : undefined
}

/** Returns whether the chain receives drand's rounds; true if it does not store the latest round. */
export function receivesDrand({ drandRound }: Pick<CommitReveal, 'drandRound'>, nowMs: number): boolean {
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
  const values = [[...row.uids], [...row.weights], row.versionKey]
  if (call === 'commit_crv3_weights') return registry.createType(PAYLOADS[call], values).toU8a()
  // Encodes the hotkey as bytes with a length prefix, not as an account.
  const bytes = registry.createType('Bytes', `0x${Buffer.from(decodeAddress(hotkey)).toString('hex')}`)
  return registry.createType(PAYLOADS[call], [bytes, ...values]).toU8a()
}

/** Returns the hash that identifies a sealed commit: BLAKE2b-256 of its ciphertext. */
export const sealHash = (ciphertext: Uint8Array): string => blake2AsHex(ciphertext, 256)

/** Encrypts a payload so that a drand round decrypts it. */
function sealFor(round: number, payload: Uint8Array): Uint8Array {
  // Loads the megabyte of WebAssembly only when it is needed.
  if (!isReady) initSync({ module: readFileSync(fileURLToPath(import.meta.resolve(WASM))) })
  isReady = true
  const roundBytes = Buffer.alloc(8)
  roundBytes.writeBigUInt64BE(BigInt(round))
  const identity = new Uint8Array(createHash('sha256').update(roundBytes).digest())
  const key = new Uint8Array(Buffer.from(QUICKNET.publicKey, 'hex'))
  const secret = new Uint8Array(randomBytes(SECRET_BYTES))
  return Uint8Array.from(tle(identity, payload, secret, key, 'bls12_381') as number[])
}
