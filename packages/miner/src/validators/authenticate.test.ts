import { hotkeyFromUri } from '@horde/chain/wallet'
import { type Clock, manualClock } from '@horde/kit/time'
import { authenticationBytes } from '@horde/protocol/handshake/signing'
import { expect, it } from 'vitest'
import { refusalOf, SeenSignatures } from './authenticate.ts'

const NOON_MS = 1_700_000_000_500
const validator = hotkeyFromUri('//validator')
const miner = hotkeyFromUri('//miner')

function signed(timestamp: number) {
  const payload = { validator_hotkey: validator.ss58, miner_hotkey: miner.ss58, timestamp } as never
  const signedBytes = authenticationBytes(payload)
  const signature = `0x${Buffer.from(validator.sign(signedBytes)).toString('hex')}`
  const hotkeys = { validatorHotkey: validator.ss58, minerHotkey: miner.ss58 }
  return { ...hotkeys, timestamp, signedBytes, signature, capabilities: [] }
}

function rulesAt(clock: Clock) {
  return { claimedHotkey: validator.ss58, minerHotkey: miner.ss58, seen: new SeenSignatures(clock), clock }
}

const seconds = (clock: Clock) => Math.floor(clock.now() / 1000)

it('accepts a signature once, while its timestamp is fresh', async () => {
  const clock = manualClock(NOON_MS)
  const rules = rulesAt(clock)
  const early = signed(seconds(clock) + 10)
  expect(refusalOf(early, rules)).toBeUndefined()
  await clock.advance(19_000)
  expect(refusalOf(early, rules)?.why).toBe('The signature was used before')
  expect(refusalOf({ ...early, signature: `0x${early.signature.slice(2).toUpperCase()}` }, rules)?.code).toBe('replay')
  await clock.advance(2_000)
  expect(refusalOf(early, rules)?.why).toMatch(/s off/)
})

it('refuses a signature that an earlier run of the miner may have accepted', async () => {
  const clock = manualClock(NOON_MS)
  const rules = rulesAt(clock)
  expect(refusalOf(signed(seconds(clock) - 1), rules)).toEqual({
    code: 'timestamp',
    why: 'The timestamp is of before this miner started',
    mayRetry: true,
  })
  expect(refusalOf(signed(seconds(clock)), rules), 'signed in the second of the start').toBeUndefined()
})

it('accepts validators again soon after the clock was set back', async () => {
  const clock = manualClock(NOON_MS)
  let setBackMs = 0
  const wrong: Clock = { ...clock, now: () => clock.now() - setBackMs }
  const rules = rulesAt(wrong)
  setBackMs = 3_600_000
  expect(refusalOf(signed(seconds(wrong)), rules)?.why).toMatch(/before this miner started/)
  await clock.advance(21_000)
  expect(refusalOf(signed(seconds(wrong)), rules)).toBeUndefined()
})
