import { fileURLToPath } from 'node:url'
import { runBesideSlowName } from '@horde/testing/slow-name'
import { expect, it } from 'vitest'

it('check reaches chain and facilitator at a slow address when another address of their name is dead', async () => {
  const lines = await runBesideSlowName(fileURLToPath(new URL('./slow-peers.ts', import.meta.url)))
  expect(lines.split('\n')).toEqual([
    expect.stringMatching(/^ok {3}chain: /),
    expect.stringMatching(/^warn facilitator: slow\.example:\d+ answers, without TLS/),
    '',
  ])
})
