import { setImmediate } from 'node:timers/promises'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import type { StartedExecutor } from '../horde/manager.ts'
import { LeavingExecutor } from '../horde/pools/reservation.ts'
import { type LiveJob, LiveJobs } from '../jobs/live-job.ts'
import { endExecutor } from './end-executor.ts'
import { ExecutorChannels, type ExecutorSocket } from './executor-channel.ts'

it('gives the slot back only after the executor has stopped, even when its connection fails to close', async () => {
  const channels = new ExecutorChannels(systemClock)
  const channel = channels.open('token')
  const socket = { isOpen: true, close: () => Promise.reject(new Error('not closed')) }
  channel.attach(socket as unknown as ExecutorSocket, { capabilities: [], userAgent: undefined })
  const released: string[] = []
  const leaving = new LeavingExecutor()
  void leaving.gone.then(() => released.push('gone'))
  const reservation = { release: () => released.push('slot') }
  const job = { validator: 'v', uuid: 'u', channel, leaving, reservation } as unknown as LiveJob
  const [stopping, stopped] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const executor: StartedExecutor = {
    ...{ id: 'e', exited: Promise.resolve('exit code 0') },
    stop: () => {
      stopping.resolve()
      return stopped.promise
    },
  }
  const ended = endExecutor(job, executor, { live: new LiveJobs(), channels, clock: systemClock, log: silentLog })
  await stopping.promise
  await setImmediate()
  expect(released).toEqual([])
  stopped.resolve()
  await ended
  expect(released.sort()).toEqual(['gone', 'slot'])
})
