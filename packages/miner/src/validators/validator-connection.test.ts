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
