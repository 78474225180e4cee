import { fileURLToPath } from 'node:url'
import { runBesideSlowName } from '@horde/testing/slow-name'
import { expect, test } from 'vitest'

test('fetches an input from a slow address although the name also has a dead one', async () => {
  expect(await runBesideSlowName(fileURLToPath(new URL('slow-input.ts', import.meta.url)))).toBe('fetched')
})
