import { expect, test } from 'vitest'
import { resolveAlias, withTag } from './images.ts'

test.each([
  ['busybox', 'busybox:latest'],
  ['a/b', 'a/b:latest'],
  ['host:5000/a/b', 'host:5000/a/b:latest'],
  ['host:5000/a/b:1', 'host:5000/a/b:1'],
  ['a@sha256:00', 'a@sha256:00'],
])('%s means %s', (name, full) => {
  expect(withTag(name)).toBe(full)
})

test.each([
  ['python:3.11-slim', 'local/python:1'],
  ['tool', 'local/tool:latest'],
  ['tool:latest', 'local/tool:latest'],
  ['tool:2', 'tool:2'],
])('with aliases %s is %s', (name, used) => {
  expect(resolveAlias(name, ['python:3.11-slim=local/python:1', 'tool=local/tool'])).toBe(used)
})
