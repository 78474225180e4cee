import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('children/service.ts', import.meta.url))

type Kill = (signal: NodeJS.Signals) => void

/** Runs a child to its end. Calls `whenReady` and `whenStopping` when the child has logged that state. */
async function run(
  way: string,
  whenReady: (kill: Kill) => void = () => {},
  ms = 20_000,
  whenStopping: (kill: Kill) => void = () => {},
) {
  const child = spawn(process.execPath, [script, way, String(ms)], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.on('data', chunk => {
    if (String(chunk).includes('"ready"')) whenReady(signal => void child.kill(signal))
    else if (String(chunk).includes('"stopping"')) whenStopping(signal => void child.kill(signal))
  })
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  const lines = stdout
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
  return { lines, messages: lines.map(line => line.msg), stderr, code, signal }
}

test('prints all wrong settings on stderr without a stack trace, and exits with 78', async () => {
  const { code, stderr, lines } = await run('settings')
  expect(code).toBe(78)
  expect(stderr).toBe(
    [
      '3 settings are wrong:',
      '  NETUID: must be a whole number of at least 0 (got "x") — The subnet. Example: NETUID=12',
      '  PORT: is not set — Where to listen. Example: PORT=8000',
      '  TOKEN: Too small: expected string to have >=10 characters (got 7 characters, not shown)' +
        ' — Who we are. Example: TOKEN=long-and-random',
      '',
    ].join('\n'),
  )
  expect(lines).toEqual([])
})

test.each([
  ['fine', 0],
  ['code', 3],
])('a service that is done ends: %s', async (way, code) => {
  expect(await run(way)).toEqual({ code, signal: null, lines: [], messages: [], stderr: '' })
})

test('logs what a library prints, never on stdout, where commands answer', async () => {
  const { code, lines, stderr } = await run('a library that prints')
  expect([code, lines]).toEqual([0, []])
  const printed = stderr.split('\n').filter(Boolean)
  expect(printed.map(line => JSON.parse(line))).toMatchObject([
    {
      level: 'warn',
      text: "API/INIT: { methods: [ 'a', 'b' ] } API_TOKEN=[redacted]",
      msg: 'console output of a library',
    },
    { level: 'info', text: 'by the way', msg: 'console output of a library' },
    { level: 'warn', err: { message: 'this is old' }, msg: 'warning from Node' },
  ])
})

test('logs an error in one line with its causes, and exits with 1', async () => {
  const { code, lines, stderr } = await run('error')
  expect([code, stderr]).toEqual([1, ''])
  expect(lines).toMatchObject([
    {
      level: 'error',
      name: 'child',
      msg: 'service failed',
      err: { message: 'it broke', cause: { message: 'deep down' } },
    },
  ])
})

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('closes and exits with 0 on %s', async signal => {
  const { code, messages, stderr } = await run('until stopped', kill => kill(signal))
  expect([code, messages, stderr]).toEqual([0, ['ready', 'stopping', 'closed'], ''])
})

test('treats a wait that ends with the abort as no error', async () => {
  for (const way of ['until aborted', 'stray abort']) {
    const { code, messages } = await run(way, kill => kill('SIGTERM'))
    expect([code, messages.at(-1)]).toEqual([0, 'stopping'])
  }
})

test('exits with 1 when stopping fails', async () => {
  const { code, messages } = await run('fails while stopping', kill => kill('SIGTERM'))
  expect([code, messages]).toEqual([1, ['ready', 'stopping', 'service failed']])
})

test.each(['rejection', 'exception'])('closes everything and exits with 1 after an uncaught %s', async way => {
  const { code, messages, lines } = await run(way)
  expect(code).toBe(1)
  expect(messages.toSorted()).toEqual(['closed', 'ready', 'stopping after an uncaught error'])
  expect(lines.find(line => line.level === 'error')).toMatchObject({ err: { message: 'not caught' } })
})

test('exits when stopping takes too long', async () => {
  const { code, messages } = await run('deaf', kill => kill('SIGTERM'), 200)
  expect([code, messages]).toEqual([1, ['ready', 'stopping', 'exiting although something is still open']])
})

test('exits when something stays open after main has returned', async () => {
  const { code, messages } = await run('leaves something open', undefined, 200)
  expect([code, messages]).toEqual([1, ['exiting although something is still open']])
})

test('exits at once on a second signal, but not on the same Ctrl-C twice', async () => {
  const twice = await run('until stopped', kill => {
    kill('SIGINT')
    kill('SIGTERM')
  })
  expect([twice.code, twice.messages.at(-1)]).toEqual([0, 'closed'])
  const later = (kill: Kill) => void setTimeout(kill, 1_100, 'SIGTERM')
  const impatient = await run('deaf', kill => kill('SIGTERM'), 20_000, later)
  expect([impatient.code, impatient.messages.at(-1)]).toEqual([143, 'exiting at once after a second signal'])
})

test('loads no database, HTTP server or metrics for an executor', async () => {
  const loader = `
    import { registerHooks } from 'node:module'
    const packages = new Set()
    registerHooks({ load(url, context, next) {
      packages.add(/.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1] ?? 'own')
      return next(url, context)
    } })
    for (const file of ['run', 'config', 'log', 'socket', 'reconnect', 'time']) await import('@horde/kit/' + file)
    process.stdout.write([...packages].sort().join(' '))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', loader], { cwd: new URL('..', import.meta.url) })
  const packages = await text(child.stdout)
  expect(packages.split(' ')).toEqual(expect.arrayContaining(['own', 'pino', 'ws', 'zod']))
  for (const heavy of ['pg', 'drizzle-orm', '@electric-sql/pglite', 'fastify', 'prom-client']) {
    expect(packages.split(' ')).not.toContain(heavy)
  }
})
