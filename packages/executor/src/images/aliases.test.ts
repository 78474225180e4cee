import { expect, test } from 'vitest'
import { resolveAlias } from './aliases.ts'

const DIGEST = `sha256:${'0a'.repeat(32)}`

test.each([
  ['python:3.11-slim', 'local/python:1'],
  ['docker.io/library/python:3.11-slim', 'local/python:1'],
  ['tool', 'local/tool:latest'],
  ['tool:latest', 'local/tool:latest'],
  ['tool:2', 'tool:2'],
  ['pinned:1', `local/pinned@${DIGEST}`],
])('with aliases %s is %s', (name, used) => {
  const aliases = ['python:3.11-slim=local/python:1', 'tool=local/tool', `pinned:1=local/pinned@${DIGEST}`]
  expect(resolveAlias(name, aliases)).toBe(used)
})
