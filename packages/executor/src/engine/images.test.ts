import { expect, test } from 'vitest'
import { isImageName, resolveAlias, withTag } from './images.ts'

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

test.each([
  'busybox',
  'a/b_c/d--e',
  'host:5000/a:T.1-x',
  'REG.example.com/a',
  `a@sha256:${'0'.repeat(64)}`,
  'localhost/a__b',
])('%s is the name of an image', name => {
  expect(isImageName(name)).toBe(true)
})

test.each([
  '',
  'A/b/C',
  'a b',
  '../containers',
  'a/../b',
  'a?x=1',
  'a#b',
  'a:',
  'a@sha256:0',
  'a//b',
  '-a',
  'é',
  'a\nb',
  'a%2fb',
])('%j is not', name => {
  expect(isImageName(name)).toBe(false)
})
