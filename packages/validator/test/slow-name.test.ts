import { fileURLToPath } from 'node:url'
import { runBesideSlowName } from '@horde/testing/slow-name'
import { expect, it } from 'vitest'

it('chain and facilitator are reached at a slow address, though their name has another one, which is dead', async () => {
  const lines = await runBesideSlowName(fileURLToPath(new URL('slow-peers.ts', import.meta.url)))
  expect(lines.split('\n')).toEqual([
    expect.stringMatching(/^ok {3}chain: /),
    expect.stringMatching(/^warn facilitator: slow\.example:\d+ answers, without TLS/),
    '',
  ])
})
