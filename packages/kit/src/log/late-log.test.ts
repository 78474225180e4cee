import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createLog, type LogOptions } from '../log.ts'
import { createLateLog } from './late-log.ts'

function capture(make: typeof createLog, options: LogOptions = {}) {
  const lines: Record<string, unknown>[] = []
  const log = make('miner', { ...options, destination: { write: line => void lines.push(JSON.parse(line)) } })
  return { log, lines: () => lines.map(({ time: _, ...line }) => line) }
}

test.each(['trace', 'info', 'warn', 'silent'] as const)('writes at level %s what createLog writes', level => {
  const [late, plain] = [capture(createLateLog, { level }), capture(createLog, { level })]
  for (const { log } of [late, plain]) {
    const child = log.child({ jobUuid: 'x' }).child({ token: 'hush' })
    child.debug({ a: 1 }, 'one')
    log.info('two')
    child.info('three')
    log.warn({ url: '/v0.1/executor_interface/hush' }, 'four')
    child.child({ b: 2 }).error({ err: 'no' }, 'five %s', 'times')
    log.trace('six')
  }
  expect(late.lines()).toEqual(plain.lines())
  expect(late.log.level).toBe(level)
  expect(late.log.isLevelEnabled('info')).toBe(plain.log.isLevelEnabled('info'))
})

test('loads pino with the first line that is written', async () => {
  const program = `
    import { registerHooks } from 'node:module'
    let loaded = false
    registerHooks({ load(url, context, next) {
      loaded ||= url.includes('/node_modules/pino/')
      return next(url, context)
    } })
    const { createLateLog } = await import('@horde/kit/log/late-log')
    const log = createLateLog('any').child({ a: 1 })
    log.debug('not written')
    const before = loaded
    log.info({ before }, 'written')
    process.exit()`
  const run = promisify(execFile)
  const cwd = new URL('..', import.meta.url)
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], { cwd })
  expect(JSON.parse(stdout)).toMatchObject({ level: 'info', name: 'any', a: 1, before: false, msg: 'written' })
})
