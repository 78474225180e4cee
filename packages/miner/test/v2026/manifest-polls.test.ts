/** Validators of v2026 ask for the manifest every few minutes, each on a connection of its own. */
import { connectValidator2026 } from '@horde/testing/peers/v2026/validator'
import { expect, it } from 'vitest'
import { startMiner2026 } from './started.ts'

it('answers the polls of a validator that lacks nothing without a query', async () => {
  let queries = 0
  await using started = await startMiner2026({
    disturb: db =>
      new Proxy(db, {
        get: (target, name, receiver) => {
          if (name === 'select') queries += 1
          return Reflect.get(target, name, receiver)
        },
      }),
  })
  await using first = await connectValidator2026(started.miner)
  // The first one is looked up, because an earlier run of the miner may have left something.
  await expect.poll(() => queries).toBeGreaterThan(0)
  await expect
    .poll(async () => {
      const before = queries
      for (let poll = 0; poll < 5; poll += 1) {
        const peer = await connectValidator2026(started.miner)
        await peer.close()
      }
      return queries - before
    })
    .toBe(0)
  expect(first.isOpen).toBe(true)
})
