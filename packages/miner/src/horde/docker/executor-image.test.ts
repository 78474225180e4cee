import { expect, it } from 'vitest'
import { isFromRegistry } from './executor-image.ts'

const sha = `sha256:${'a'.repeat(64)}`

it.each([
  ['compute-horde/executor:v0', [`compute-horde/executor@${sha}`], true],
  ['docker.io/compute-horde/executor', [`compute-horde/executor@${sha}`], true],
  ['docker.io/library/alpine:3', [`alpine@${sha}`], true],
  ['localhost:5000/executor', [`localhost:5000/executor@${sha}`], true],
  [`localhost:5000/executor@${sha}`, [`other@${sha}`, `localhost:5000/executor@${sha}`], true],
  ['compute-horde/executor:v0', [], false],
  ['compute-horde/executor:v0', [`localhost:5000/compute-horde/executor@${sha}`], false],
  ['localhost:5001/executor', [`localhost:5000/executor@${sha}`], false],
])('%s with the digests %j came from its registry: %s', (image, digests, expected) => {
  expect(isFromRegistry(image, digests)).toBe(expected)
})
