import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { LONG_FILES } from './longest-first.ts'

const ROOT = new URL('../../../../', import.meta.url)

test.each(LONG_FILES)('the long file %s exists', name => {
  expect(existsSync(fileURLToPath(new URL(name, ROOT)))).toBe(true)
})
