import { createLog } from '@horde/kit/log'
import { authentication, connectValidator, dialMiner, unknownKey, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'

const HELD = 3
/** More than may wait to be admitted. */
const CROWD = 160
const LARGE = 'x'.repeat(2_000_000)

let stack: AsyncDisposableStack
let miner: TestMiner
const lines: string[] = []

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const env = { AUTHENTICATE_SECONDS: '600', MAX_CONNECTIONS_PER_VALIDATOR: String(HELD) }
  const log = createLog('miner', { destination: { write: line => void lines.push(line) } })
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager: new ScriptedManager(), env, log }))
})
afterAll(() => stack.disposeAsync())
beforeEach(() => {
  lines.length = 0
})

it('reads no large frame of a peer that only claims a validator’s hotkey', async () => {
  const peer = await dialMiner(miner, validatorKey().ss58)
  await peer.send(LARGE as never).catch(() => {})
  expect(await peer.nextUntilClosed()).toEqual([])
  expect((await peer.closed).code).toBe(1006)
})

it('reads large frames of authenticated validators', async () => {
  await using peer = await connectValidator(miner)
  await peer.send({ message_type: LARGE } as never)
  expect(await peer.next()).toMatchObject({ message_type: 'GenericError' })
})

it('serves a validator beside many silent connections', async () => {
  // The miner may close a silent connection before its peer notices that it was opened.
  const dialled = await Promise.allSettled(Array.from({ length: CROWD }, () => dialMiner(miner, validatorKey().ss58)))
  const silent = dialled.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []))
  const ends = silent.map(peer => peer.closed.then(({ code }) => code))
  await using peer = await connectValidator(miner, validatorKey(), ['manifest'])
  expect(await peer.next()).toMatchObject({ message_type: 'V0ExecutorManifestRequest' })
  expect(await Promise.race(ends)).toBe(1006)
  await Promise.all(silent.map(each => each.close()))
})

it('limits the connections of one validator, and accepts another when one is closed', async () => {
  const connect = () => connectValidator(miner, validatorKey(), ['manifest'])
  const held = []
  for (let index = 0; index < HELD; index += 1) {
    held.push(await connect())
    expect(await held[index]?.next()).toMatchObject({ message_type: 'V0ExecutorManifestRequest' })
  }
  const refused = await connect()
  expect(await refused.nextUntilClosed()).toMatchObject([
    { message_type: 'GenericError', details: expect.stringMatching(/too many/i) },
  ])
  await held[0]?.close()
  await expect.poll(async () => (await (await connect()).next()).message_type).toBe('V0ExecutorManifestRequest')
  for (const peer of held) await peer.close()
})

it('logs no text of an unauthenticated peer', async () => {
  const secret = 'sent-by-an-unknown-peer'
  const known = await dialMiner(miner, validatorKey().ss58)
  await known.send({ message_type: 'V0JobRequest', docker_run_cmd: secret, [secret]: secret } as never)
  await known.nextUntilClosed()
  const unknown = await dialMiner(miner, unknownKey().ss58)
  await unknown.send(authentication(unknownKey())).catch(() => {})
  await unknown.nextUntilClosed()
  const refused = lines.filter(line => line.includes('validator refused'))
  expect(refused).toHaveLength(2)
  expect(refused[0]).toContain(validatorKey().ss58)
  expect(lines.join()).not.toContain(unknownKey().ss58)
  expect(lines.join()).not.toContain(secret)
})
