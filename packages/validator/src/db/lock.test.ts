import { getEventListeners } from 'node:events'
import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { keepLock } from './lock.ts'

it('removes its listener from a lock that is never lost', async () => {
  const { signal } = new AbortController()
  const tryLock = async () => ({ lost: signal, async [Symbol.asyncDispose]() {} })
  const kept = await keepLock(tryLock, { clock: manualClock(), log: silentLog })
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  await kept?.[Symbol.asyncDispose]()
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})
