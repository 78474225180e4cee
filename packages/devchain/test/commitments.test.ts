import { afterAll, beforeAll, expect, test } from 'vitest'
import { miner, NETUID, type Net, startNet, stranger } from './client.ts'

let net: Net
beforeAll(async () => {
  net = await startNet()
})
afterAll(() => net[Symbol.asyncDispose]())

const commit = (...fields: object[]) => net.call('commitments.setCommitment', NETUID, { fields })
const raw = (text: string) => ({ [`Raw${Buffer.byteLength(text)}`]: `0x${Buffer.from(text).toString('hex')}` })

test('keeps the last commitment of a hotkey, without a fee', async () => {
  expect(await net.read('commitments.commitmentOf', NETUID, miner.address)).toBeNull()
  const included = await net.include(commit(raw('first')), miner)
  expect(included).toMatchObject({ error: null, events: expect.arrayContaining(['commitments.Commitment']) })
  await net.include(commit(raw('<M:A3>'), { Sha256: `0x${'11'.repeat(32)}` }), miner)
  expect(await net.read('commitments.commitmentOf', NETUID, miner.address)).toEqual({
    deposit: 0,
    block: expect.any(Number),
    info: { fields: [{ raw6: '0x3c4d3a41333e' }, { sha256: `0x${'11'.repeat(32)}` }] },
  })
})

test('refuses hotkeys that are not on the subnet, and a fourth field', async () => {
  expect(await net.include(commit(raw('x')), stranger)).toMatchObject({ error: 'AccountNotAllowedCommit' })
  const four = await net.include(commit(raw('a'), raw('b'), raw('c'), raw('d')), miner)
  expect(four).toMatchObject({ error: 'TooManyFieldsInCommitmentInfo' })
})

test('takes 3,100 bytes of a hotkey in an epoch, and at least 100 for each commitment', async () => {
  const errors: (string | null)[] = []
  for (let count = 0; count < 31; count += 1) errors.push((await net.include(commit(raw('x')), miner)).error)
  // Two commitments of the tests before count, too.
  expect(errors.filter(error => error === null)).toHaveLength(29)
  expect(errors.at(-1)).toBe('SpaceLimitExceeded')
})
