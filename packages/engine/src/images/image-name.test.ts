import { expect, test } from 'vitest'
import { canonicalName, isFromRegistry, isImageName, parseImageName, withTag } from './image-name.ts'

const DIGEST = `sha256:${'0a'.repeat(32)}`

test.each([
  ['busybox', 'busybox:latest', 'docker.io/library/busybox:latest'],
  ['a/b', 'a/b:latest', 'docker.io/a/b:latest'],
  ['docker.io/python:3.11-slim', 'docker.io/python:3.11-slim', 'docker.io/library/python:3.11-slim'],
  ['index.docker.io/library/python:3', 'index.docker.io/library/python:3', 'docker.io/library/python:3'],
  ['host:5000/a/b', 'host:5000/a/b:latest', 'host:5000/a/b:latest'],
  ['host:5000/a/b:1', 'host:5000/a/b:1', 'host:5000/a/b:1'],
  ['localhost/a', 'localhost/a:latest', 'localhost/a:latest'],
  ['[::1]:5000/a:T', '[::1]:5000/a:T', '[::1]:5000/a:T'],
  [`a@${DIGEST}`, `a@${DIGEST}`, `docker.io/library/a@${DIGEST}`],
  [`host:5000/a:1@${DIGEST}`, `host:5000/a@${DIGEST}`, `host:5000/a@${DIGEST}`],
])('%s means %s, in full %s', (name, full, canonical) => {
  expect([withTag(name), canonicalName(name)]).toEqual([full, canonical])
})

test('parses a name into registry, repository, tag and digest', () => {
  expect(parseImageName(`127.0.0.1:5000/x/y_z:v-1@${DIGEST}`)).toEqual({
    registry: '127.0.0.1:5000',
    repository: 'x/y_z',
    tag: 'v-1',
    digest: DIGEST,
  })
  expect(parseImageName('python')).toEqual({
    registry: 'docker.io',
    repository: 'library/python',
    tag: undefined,
    digest: undefined,
  })
})

test.each([
  'busybox',
  'a/b_c/d--e',
  'host:5000/a:T.1-x',
  'REG.example.com/a',
  `a@sha256:${'0'.repeat(64)}`,
  'localhost/a__b',
  'Registry/a',
])('%s is the name of an image', name => {
  expect(isImageName(name)).toBe(true)
})

test.each([
  '',
  'A',
  'A/b/C',
  'a b',
  '../containers',
  'a/../b',
  'a?x=1',
  'a#b',
  'a:',
  'a@sha256:0',
  `a@sha512:${'0'.repeat(64)}`,
  'a//b',
  'a/',
  '/a',
  '-a',
  'a_b.c:80/d',
  'host:port/a',
  'é',
  'a\nb',
  'a%2fb',
  'a=b',
  '0'.repeat(64),
  `${'a'.repeat(256)}:1`,
])('%j is not the name of an image', name => {
  expect(isImageName(name)).toBe(false)
})

test.each([
  ['compute-horde/executor:v0', [`compute-horde/executor@${DIGEST}`], true],
  ['docker.io/compute-horde/executor', [`compute-horde/executor@${DIGEST}`], true],
  ['docker.io/library/alpine:3', [`alpine@${DIGEST}`], true],
  ['localhost:5000/executor', [`localhost:5000/executor@${DIGEST}`], true],
  [`localhost:5000/executor@${DIGEST}`, [`other@${DIGEST}`, `localhost:5000/executor@${DIGEST}`], true],
  ['compute-horde/executor:v0', [], false],
  ['compute-horde/executor:v0', [`localhost:5000/compute-horde/executor@${DIGEST}`], false],
  ['localhost:5001/executor', [`localhost:5000/executor@${DIGEST}`], false],
])('%s with the digests %j came from its registry: %s', (image, digests, expected) => {
  expect(isFromRegistry(image, digests)).toBe(expected)
})
