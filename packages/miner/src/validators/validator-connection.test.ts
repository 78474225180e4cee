import { manualClock } from '@horde/kit/time'
import type { MinerMessage } from '@horde/protocol/v0/validator-miner'
import { expect, it } from 'vitest'
import { ValidatorConnection, type ValidatorSocket } from './validator-connection.ts'

const READY = { message_type: 'V0ExecutorReadyRequest', job_uuid: 'x' } as unknown as MinerMessage

it('closes a connection whose peer reads nothing, so that sending ends', async () => {
  const clock = manualClock()
  let closed = 0
  const socket = {
    isOpen: true,
    closed: new Promise(() => {}),
    send: () => new Promise<void>(() => {}),
    close: async () => {
      closed += 1
    },
  } as unknown as ValidatorSocket
  const sent = new ValidatorConnection(socket, 'alice', [], clock).send(READY)
  await clock.advance(59_000)
  expect(closed).toBe(0)
  await clock.advance(2_000)
  expect(await sent).toBe(false)
  expect(closed).toBe(1)
})

it.each([
  ['answered or cut', false, 60_000 - 5_000],
  // Its validator may have lost it at any time.
  ['silent', true, 0],
])('notes when its validator may have lost it: %s', async (_, wasSilent, lostAt) => {
  const clock = manualClock()
  const ended = Promise.withResolvers<unknown>()
  const socket = { isOpen: true, closed: ended.promise, wasSilent }
  const connection = new ValidatorConnection(socket as unknown as ValidatorSocket, 'alice', [], clock)
  const { openedAt } = connection
  await clock.advance(60_000)
  expect(connection.lostAt).toBeUndefined()
  socket.isOpen = false
  expect(connection.lostAt).toBe(openedAt + 55_000)
  ended.resolve({ code: 1006, reason: '' })
  await ended.promise
  await clock.advance(60_000)
  expect(connection.lostAt).toBe(openedAt + lostAt)
})
