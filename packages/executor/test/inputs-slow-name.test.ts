import { fileURLToPath } from 'node:url'
import { runBesideSlowName } from '@horde/testing/slow-name'
import { expect, test } from 'vitest'

test('an input is fetched from a slow address, though the name has another one, which is dead', async () => {
  expect(await runBesideSlowName(fileURLToPath(new URL('slow-input.ts', import.meta.url)))).toBe('fetched')
})
