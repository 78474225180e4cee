import { defineSettings, envInteger, envPort, readSettings, setting } from '@horde/kit/config'
import { createLog } from '@horde/kit/log'
import { runService } from '@horde/kit/run'
import { systemClock } from '@horde/kit/time'
import { z } from 'zod'

const settings = defineSettings({
  NETUID: setting(envInteger({ min: 0 }), { about: 'The subnet.', example: '12' }),
  PORT: setting(envPort, { about: 'Where to listen.', example: '8000' }),
  TOKEN: setting(z.string().min(10), { about: 'Who we are.', example: 'long-and-random', secret: true }),
})

const log = createLog('child')

async function untilStopped(signal: AbortSignal): Promise<void> {
  log.info('ready')
  await systemClock.sleep(600_000, signal)
}

/** Services that run and end in different ways, by name. */
const ways: Record<string, (signal: AbortSignal) => Promise<number> | Promise<void>> = {
  async settings() {
    readSettings(settings, { NETUID: 'x', TOKEN: 'hunter2' })
  },
  async fine() {},
  async code() {
    return 3
  },
  async 'a library that prints'() {
    const { console: library } = globalThis
    library.warn('API/INIT:', { methods: ['a', 'b'] }, 'API_TOKEN=hunter2')
    library.log('by the way')
    process.emitWarning('this is old', 'DeprecationWarning')
    await new Promise(resolve => setImmediate(resolve))
  },
  async error() {
    throw new Error('it broke', { cause: new Error('deep down') })
  },
  async 'until stopped'(signal) {
    await untilStopped(signal).catch(() => {})
    log.info('closed')
  },
  'until aborted': untilStopped,
  async 'fails while stopping'(signal) {
    await untilStopped(signal).catch(() => {})
    throw new Error('could not close')
  },
  async deaf() {
    log.info('ready')
    await systemClock.sleep(600_000)
  },
  async 'leaves something open'() {
    setInterval(() => {}, 1_000)
  },
  async rejection(signal) {
    void Promise.reject(new Error('not caught'))
    await untilStopped(signal).catch(() => {})
    log.info('closed')
  },
  async exception(signal) {
    setImmediate(() => {
      throw new Error('not caught')
    })
    await untilStopped(signal).catch(() => {})
    log.info('closed')
  },
  async 'stray abort'(signal) {
    void untilStopped(signal)
    await untilStopped(signal).catch(() => {})
  },
}

const [way = '', stopWithinMs = '20000'] = process.argv.slice(2)
await runService('child', signal => ways[way]?.(signal) ?? Promise.resolve(99), { stopWithinMs: Number(stopWithinMs) })
