import { setImmediate } from 'node:timers/promises'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import type { StartedExecutor } from '../horde/manager.ts'
import { LeavingExecutor } from '../horde/pools/leaving-executor.ts'
import { endExecutor } from './end-executor.ts'
import { ExecutorLines, type ExecutorSocket } from './executor-line.ts'
import { type LiveJob, LiveJobs } from './live-job.ts'

it('gives the place back only after the executor has stopped, even when its connection fails to close', async () => {
  const lines = new ExecutorLines(systemClock)
  const line = lines.open('token')
  const socket = { isOpen: true, close: () => Promise.reject(new Error('not closed')) }
  line.attach(socket as unknown as ExecutorSocket, [])
  const released: string[] = []
  const leaving = new LeavingExecutor()
  void leaving.gone.then(() => released.push('gone'))
  const reservation = { release: () => released.push('place') }
  const job = { validator: 'v', uuid: 'u', executor: line, leaving, reservation } as unknown as LiveJob
  const [stopping, stopped] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const executor: StartedExecutor = {
    ...{ id: 'e', exited: Promise.resolve('exit code 0') },
    stop: () => {
      stopping.resolve()
      return stopped.promise
    },
  }
  const ended = endExecutor(job, executor, { live: new LiveJobs(), lines, clock: systemClock, log: silentLog })
  await stopping.promise
  await setImmediate()
  expect(released).toEqual([])
  stopped.resolve()
  await ended
  expect(released.sort()).toEqual(['gone', 'place'])
})
