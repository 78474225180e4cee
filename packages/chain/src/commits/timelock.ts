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
  const round = revealRound(state, nowMs)
  const ciphertext = sealFor(round, payloadOf(row, hotkey, call))
  const hash = sealHash(ciphertext)
  return { netuid: row.netuid, call, version: state.sealedVersion, ciphertext, round, hash }
}

/** The round that comes a few blocks into the epoch of the reveal, as of a block that was made just now. */
export function revealRound({ epochs, revealPeriodEpochs, block, blockMs }: CommitReveal, nowMs: number): number {
  const range = epochRange(epochs, epochs.index + revealPeriodEpochs)
  if (!range) throw new ChainError('Unsupported', 'the subnet has no epochs')
  const openMs = nowMs + (range.first + MARGIN_BLOCKS - block) * blockMs
  return Math.floor((openMs - QUICKNET.genesisMs) / QUICKNET.periodMs)
}

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
