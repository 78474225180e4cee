/**
 * The manifest that a miner commits to the chain: `<M:A3;S2>` behind whatever else it has committed, one letter for
 * each executor class. Validators may read it instead of asking the miner.
 */
import { EXECUTOR_CLASSES, type ExecutorClass } from '../classes.ts'

/** The longest commitment that the chain takes, in bytes. */
export const MAX_COMMITMENT_BYTES = 128

/** How many executors of each class a miner has. */
export type Manifest = Partial<Record<ExecutorClass, number>>

const LETTERS: Record<ExecutorClass, string> = {
  'always_on.gpu-24gb': 'A',
  'spin_up-4min.gpu-24gb': 'S',
  'always_on.llm.a6000': 'L',
  'always_on.test': 'T',
  'always_on.cpu.8c.16gb': 'C',
}

const TAG = /<M:([^>]*)>/g
/** A letter and a whole number, as Python reads one. */
const PAIR = /^(.)\s*([+-]?\d+(?:_\d+)*)$/

/** Returns a manifest as it stands inside the tag: `A3;S2`, sorted by letter. */
export function formatManifest(manifest: Manifest): string {
  const pairs = EXECUTOR_CLASSES.flatMap(name =>
    manifest[name] === undefined ? [] : `${LETTERS[name]}${manifest[name]}`,
  )
  return pairs.sort().join(';')
}

/**
 * Returns a commitment with its manifest replaced. The new tag stands at the end. Undefined when the whole is too long
 * for the chain.
 */
export function mergeManifest(commitment: string, manifest: string): string | undefined {
  const others = commitment.replace(TAG, '')
  const merged = `${others === commitment ? others : others.trim()}<M:${manifest}>`
  return Buffer.byteLength(merged) > MAX_COMMITMENT_BYTES ? undefined : merged
}

/** Returns the manifest in a commitment: its first tag counts, and wrong pairs are skipped. Empty without a tag. */
export function parseManifest(commitment: string): Manifest {
  const [tag] = commitment.matchAll(TAG)
  const manifest: Manifest = {}
  for (const pair of (tag?.[1] ?? '').split(';')) {
    const [, letter, count = ''] = PAIR.exec(pair.trim()) ?? []
    const name = EXECUTOR_CLASSES.find(executorClass => LETTERS[executorClass] === letter)
    const executors = Number(count.replaceAll('_', ''))
    if (name !== undefined && Number.isSafeInteger(executors)) manifest[name] = executors
  }
  return manifest
}
