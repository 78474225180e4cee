import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLog, type LogOptions, redact } from './log.ts'

function capture(options: LogOptions = {}) {
  const lines: string[] = []
  const log = createLog('miner', { ...options, destination: { write: line => void lines.push(line) } })
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') }
}

const SECRET = 'c3VwZXItc2VjcmV0'

test('writes a JSON object with level, ISO time, name, fields and sentence', () => {
  const { log, last, lines } = capture()
  log.info({ jobUuid: 'x', from: 'ready' }, 'job moved')
  const { time, ...rest } = last()
  expect(rest).toEqual({ level: 'info', name: 'miner', jobUuid: 'x', from: 'ready', msg: 'job moved' })
  expect(new Date(time).toISOString()).toBe(time)
  log.debug('below the level')
  expect(lines).toHaveLength(1)
})

test.each([
  ['a field', { url: `/v0.1/executor_interface/${SECRET}` }],
  ['a nested field', { request: { raw: { url: `ws://h:1/v0.1/executor_interface/${SECRET}?x=1` } } }],
  ['a secret key', { token: SECRET, EXECUTOR_TOKEN: SECRET, signature: `0x${SECRET}`, db: { password: SECRET } }],
  ['a header', { headers: { authorization: `Bearer ${SECRET}`, Cookie: SECRET } }],
  ['a number', { pinToken: 12345678 }],
  ['an env list', { env: [`EXECUTOR_TOKEN=${SECRET}`, 'A=1'] }],
  ['a database URL', { url: `postgres://horde:${SECRET}@db:5432/horde` }],
  ['a signed URL', { url: `https://s3/x?X-Amz-Credential=${SECRET}&X-Amz-Signature=${SECRET}&a=1` }],
  ['JSON in text', { frame: JSON.stringify({ a: 1, signature: SECRET, b: 2 }) }],
  ['quotes in a secret', { password: `a"b\\"${SECRET}` }],
  ['an error', { err: new Error(`GET /v0.1/executor_interface/${SECRET}`) }],
  ['a cause', { err: new Error('no', { cause: new Error(`/v0.1/executor_interface/${SECRET} failed`) }) }],
])('no secret gets out through %s', (_, fields) => {
  const { log, last, lines } = capture()
  log.info(fields, 'message')
  expect(last()).toMatchObject({ msg: 'message' })
  expect(lines[0]).toContain('[redacted]')
  expect(lines[0]).not.toContain(SECRET)
  expect(lines[0]).not.toContain('12345678')
})

test('hides secrets in children, messages and bare errors', () => {
  const { log, lines } = capture()
  log.child({ token: SECRET }).info('child')
  log.error(new Error(`postgres://u:${SECRET}@h/db`))
  log.info(`/executor_interface/${SECRET}`)
  expect(lines.map(line => JSON.parse(line))).toHaveLength(3)
  expect(lines.join()).not.toContain(SECRET)
})

test('keeps text that only looks like a secret', () => {
  const { log, last } = capture()
  log.info({ tokens: 5, signature_type: '0', url: 'http://127.0.0.1:8000/a@b', url2: 'http://h/?tokens=1' }, 'kept')
  expect(last()).toMatchObject({ tokens: 5, signature_type: '0', url: 'http://127.0.0.1:8000/a@b' })
})

test('hides the words and the seed of a keyfile', () => {
  const { log, lines } = capture()
  log.info({ key: { secretPhrase: 'bottom drive obey', secretSeed: '0xfac7959dbf', ss58Address: '5F' } }, 'read')
  expect(lines[0]).toMatch(/"secretPhrase":"\[redacted\]","secretSeed":"\[redacted\]","ss58Address":"5F"/)
})

test('writes one line of JSON for any value', () => {
  const { log, lines } = capture()
  const nasty = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('"', '\\', 'token', '=', ':', '{', '@', '/', '?', '\n', ' ', 'x') }),
  )
  const key = fc.oneof(fc.constantFrom('token', 'signature', 'err', 'url'), nasty)
  fc.assert(
    fc.property(fc.dictionary(key, fc.oneof(nasty, fc.jsonValue()), { maxKeys: 4 }), nasty, (fields, sentence) => {
      lines.length = 0
      log.info({ fields, ...fields }, sentence)
      expect(lines).toHaveLength(1)
      expect(() => JSON.parse(lines[0] ?? '')).not.toThrow()
      expect(lines[0]?.trimEnd()).not.toContain('\n')
    }),
    { numRuns: 500 },
  )
})

test('writes an error with its causes, without the parameters of a failed query', () => {
  const { log, last, lines } = capture()
  const query = Object.assign(new Error('Failed query: insert into jobs values ($1)\nparams: what,\na stranger sent'), {
    params: ['what', 'a stranger sent'],
    query: 'insert into jobs values ($1)',
  })
  log.error({ err: new Error('job could not be saved', { cause: query }) }, 'job lost')
  expect(last().err).toMatchObject({
    message: 'job could not be saved',
    cause: { message: 'Failed query: insert into jobs values ($1)', query: 'insert into jobs values ($1)' },
  })
  expect(last().err.cause.stack).toContain('log.test.ts')
  expect(lines[0]).not.toContain('stranger')
})

test.each([
  ['a field', (text: string) => ({ complaint: text })],
  ['a nested field', (text: string) => ({ complaint: { details: [text, { more: text }] } })],
  ['the name of a field', (text: string) => ({ complaint: { [text]: 1 } })],
  ['many fields', (text: string) => ({ complaint: Array.from({ length: 100_000 }, () => text.slice(0, 100)) })],
  ['bytes', (text: string) => ({ frame: Buffer.from(text) })],
  ['an error', (text: string) => ({ err: new Error(text) })],
  ['the cause of an error', (text: string) => ({ err: new Error('no', { cause: new Error(text) }) })],
  ['a field of an error', (text: string) => ({ err: Object.assign(new Error('no'), { body: text }) })],
])('cuts a long text in %s at every level', (_, fields) => {
  const { log, lines, last } = capture({ level: 'debug' })
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    log[level](fields('x'.repeat(1_000_000)), 'miner complained')
    expect(last().msg).toBe('miner complained')
    expect(lines.at(-1)?.length).toBeLessThan(100_000)
    expect(lines.at(-1)).not.toContain('x'.repeat(10_000))
  }
})

test('cuts long texts and says how long they were, also in children and bare errors', () => {
  const { log, last, lines } = capture()
  log.info({ complaint: 'x'.repeat(40_000_000) }, 'miner complained')
  expect(last().complaint).toBe(`${'x'.repeat(500)}… (40000000 characters)`)
  log.child({ complaint: 'y'.repeat(1_000_000) }).info('message')
  log.error(new Error('z'.repeat(1_000_000)))
  for (const line of lines) expect(line.length).toBeLessThan(20_000)
})

test('redacts hostile text in linear time', () => {
  // CPU time, because a busy machine takes longer.
  const before = process.cpuUsage()
  for (const piece of ['?', '"', '://', '://a:', '&token', 'TOKEN', '\\"', 'x', '"token":"'])
    redact(piece.repeat(200_000))
  const { user, system } = process.cpuUsage(before)
  expect((user + system) / 1_000).toBeLessThan(5_000)
})
