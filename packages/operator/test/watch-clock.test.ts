import type { Chain } from '@horde/chain/chain'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { silentLog } from '@horde/kit/log'
import { type Clock, systemClock } from '@horde/kit/time'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clockOffset, clockWatch } from '../src/watch/clock.ts'

const WINDOW_SECONDS = 10
const { signal } = new AbortController()

let devchain: Devchain
beforeAll(async () => {
  const genesis = { balances: {}, sudo: hotkeyFromUri('//Owner').ss58, subnets: [] }
  devchain = await startDevchain({ blockMs: 'per-extrinsic', genesis })
})
afterAll(() => devchain[Symbol.asyncDispose]())

/** Returns a clock that is this many milliseconds ahead of the chain's. */
const ahead = (ms: number): Clock => ({ ...systemClock, now: () => Date.now() + ms })

const connect = (clock: Clock) => connectSubtensor({ endpoints: [devchain.url], log: silentLog, clock })

/** Looks at the clock while the chain makes a block. */
async function look(chain: Chain, clock: Clock) {
  const looking = clockWatch({ chain, clock }, WINDOW_SECONDS).look(signal)
  await devchain.mineBlock()
  return looking
}

describe('a block that arrives during the look', () => {
  it.each([
    [0, 'ok', /^0\.\d s ahead of the chain's$/],
    [3_000, 'ok', /^3\.\d s ahead of/],
    [6_000, 'warn', /^6\.\d s ahead of/],
    [-7_000, 'warn', /^[67]\.\d s behind/],
    [15_000, 'bad', /^15\.\d s ahead of/],
    [-15_000, 'bad', /^1[45]\.\d s behind/],
  ])('shows that a clock ahead by %d ms is %s', async (ms, verdict, found) => {
    const clock = ahead(ms)
    await using chain = await connect(clock)
    const [finding] = await look(chain, clock)
    expect(finding).toMatchObject({ subject: 'clock', verdict, found: expect.stringMatching(found) })
    expect(finding?.measured).toBeCloseTo(ms / 1000, -1)
    if (verdict !== 'ok') expect(finding?.advice).toMatch(/NTP/)
  })
})

it('takes the smallest offset of several looks, so that one late block does not matter', async () => {
  let late = 0
  const clock: Clock = { ...systemClock, now: () => Date.now() + late }
  await using chain = await connect(clock)
  const watch = clockWatch({ chain, clock }, WINDOW_SECONDS)
  const lookOnce = async () => {
    const looking = watch.look(signal)
    await devchain.mineBlock()
    return (await looking)[0]?.verdict
  }
  expect(await lookOnce()).toBe('ok')
  late = 12_000
  expect(await lookOnce()).toBe('ok')
  for (const _ of Array(4)) await lookOnce()
  expect(await lookOnce(), 'a clock that stays wrong').toBe('bad')
})

describe('a block from before the look', () => {
  it('proves nothing when it is older than this clock', async () => {
    await devchain.mineBlock()
    const clock = ahead(3_600_000)
    await using chain = await connect(clock)
    expect(await clockOffset({ chain, clock }, 0, signal)).toMatchObject({ isExact: false })
    const [finding] = await clockWatch({ chain, clock }, WINDOW_SECONDS).look(signal)
    expect(finding).toMatchObject({ verdict: 'ok', found: expect.stringMatching(/^not behind/) })
  })

  it('proves that the clock is behind when it is from the future', async () => {
    await devchain.mineBlock()
    const clock = ahead(-60_000)
    await using chain = await connect(clock)
    const [finding] = await clockWatch({ chain, clock }, WINDOW_SECONDS).look(signal)
    expect(finding).toMatchObject({ verdict: 'bad', found: expect.stringMatching(/s behind/) })
  })
})
