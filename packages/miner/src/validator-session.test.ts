import { manualClock } from '@horde/kit/time'
import type { MinerMessage } from '@horde/protocol/validator-miner'
import { expect, it } from 'vitest'
import { ValidatorSession, type ValidatorSocket } from './validator-session.ts'

const READY = { message_type: 'V0ExecutorReadyRequest', job_uuid: 'x' } as unknown as MinerMessage

it('a connection that takes nothing off the wire is closed, and holds nobody up', async () => {
  const clock = manualClock()
  let closed = 0
  const socket = {
    isOpen: true,
    say: () => new Promise<void>(() => {}),
    close: async () => {
      closed += 1
    },
  } as unknown as ValidatorSocket
  const said = new ValidatorSession(socket, 'alice', [], clock).say(READY)
  await clock.advance(59_000)
  expect(closed).toBe(0)
  await clock.advance(2_000)
  expect(await said).toBe(false)
  expect(closed).toBe(1)
})
