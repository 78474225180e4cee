import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { formatManifest, type Manifest, mergeManifest, parseManifest } from './manifest-commitment.ts'

const vectors = JSON.parse(
  readFileSync(new URL('../../test/fixtures/v2026/manifests.json', import.meta.url), 'utf8'),
) as {
  format: { manifest: Manifest; payload: string }[]
  merge: { before: string; payload: string; after: string }[]
  parse: { commitment: string; manifest: Manifest }[]
}

describe('a manifest in a commitment', () => {
  it.each(vectors.format)('is written as $payload', ({ manifest, payload }) => {
    expect(formatManifest(manifest)).toBe(payload)
  })
  it.each(vectors.merge)('$payload goes into "$before" as "$after"', ({ before, payload, after }) => {
    expect(mergeManifest(before, payload)).toBe(after)
  })
  it.each(vectors.parse)('is read from $commitment', ({ commitment, manifest }) => {
    expect(parseManifest(commitment)).toEqual(manifest)
  })
  it('is not written when the whole is longer than 128 bytes', () => {
    expect(mergeManifest('é'.repeat(61), 'A1')).toHaveLength(61 + 6)
    expect(mergeManifest(`${'é'.repeat(61)}x`, 'A1')).toBeUndefined()
  })
})
