import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  ConfigError,
  defineSettings,
  envBoolean,
  envDatabaseUrl,
  envInteger,
  envList,
  envNumber,
  envPort,
  envTemplate,
  envUrl,
  readSettings,
  setting,
  settingsTable,
} from './config.ts'

const settings = defineSettings({
  NETUID: setting(envInteger({ min: 0, max: 65_535 }), { about: "The subnet's number.", example: '12' }),
  NETWORK: setting(z.enum(['finney', 'test']), { about: 'Which chain.', example: 'finney' }),
  PORT: setting(envPort.default(8000), { about: 'Where to listen.', example: '8000' }),
  PEERS: setting(envList.default([]), { about: 'Others | us.', example: 'a,b' }),
  TOKEN: setting(z.string().min(20), { about: 'Who we are.', example: 'a-long-random-text', secret: true }),
  EXTRA: setting(z.string().optional(), { about: 'Not needed.', example: 'x' }),
})

const right = { NETUID: '12', NETWORK: 'finney', TOKEN: 'x'.repeat(20) }

function mistakesOf(env: Record<string, string>): string {
  try {
    readSettings(settings, env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
  }
  throw new Error('nothing was wrong')
}

test('parses values, fills in defaults and ignores unknown variables', () => {
  const values = readSettings(settings, { ...right, PORT: '', PEERS: ' a, b,,', PATH: '/bin', NETUID: ' 12\r' })
  const typed: { NETUID: number; PORT: number; PEERS: string[]; EXTRA: string | undefined } = values
  expect(typed).toEqual({ ...right, NETUID: 12, PORT: 8000, PEERS: ['a', 'b'] })
})

test('lists all mistakes at once, each with the problem, the sentence and an example', () => {
  expect(mistakesOf({ NETUID: '70000', NETWORK: '"finney"', TOKEN: 'hunter2', PORT: 'http', EXTRA: '  ' })).toBe(
    [
      '4 settings are wrong:',
      `  NETUID: must be a whole number from 0 to 65535 (got "70000") — The subnet's number. Example: NETUID=12`,
      '  NETWORK: Invalid option: expected one of "finney"|"test"' +
        ' (got "\\"finney\\""; the quotes are part of the value) — Which chain. Example: NETWORK=finney',
      '  PORT: must be a whole number from 0 to 65535 (got "http") — Where to listen. Example: PORT=8000',
      '  TOKEN: Too small: expected string to have >=20 characters (got 7 characters, not shown)' +
        ' — Who we are. Example: TOKEN=a-long-random-text',
    ].join('\n'),
  )
  expect(mistakesOf({ ...right, TOKEN: '' })).toMatch(/^One setting is wrong:\n {2}TOKEN: is not set — /)
})

test('cuts long values in a message', () => {
  const message = mistakesOf({ ...right, NETWORK: `\n${'x'.repeat(10_000)}\u0000` })
  expect(message.length).toBeLessThan(300)
  expect(mistakesOf({ ...right, NETWORK: 'a\nb' }).split('\n')).toHaveLength(2)
})

test('shows no secret in a message, even when the schema repeats it', () => {
  const loud = defineSettings({
    SECRET: setting(
      z.string().transform((text, context) => {
        context.addIssue({ code: 'custom', message: `cannot use ${text}` })
        return z.NEVER
      }),
      { about: 'Hush.', example: 'x', secret: true },
    ),
  })
  fc.assert(
    fc.property(fc.stringMatching(/^[!-~]{8,40}$/), secret => {
      expect(() => readSettings(loud, { SECRET: secret })).toThrow(
        /^One setting is wrong:\n {2}SECRET: is not valid \(got/,
      )
    }),
  )
})

test.each([
  [envBoolean, ['true', 'YES', 'on', '1'], true],
  [envBoolean, ['false', 'No', 'off', '0'], false],
  [envInteger({ min: -5 }), ['-5', '-05'], -5],
  [envNumber(), ['0.5', '.5', '5e-1', '+0.50'], 0.5],
  [envUrl, ['ws://h:1/p?q'], 'ws://h:1/p?q'],
  [envDatabaseUrl, ['pglite://memory'], 'pglite://memory'],
])('accepts valid values (%#)', (schema, texts, value) => {
  for (const text of texts) expect(schema.parse(text)).toEqual(value)
})

test.each([
  [envBoolean, ['', 'ja', '2']],
  [envInteger({ max: 9 }), ['10', '1.0', '1e3', '0x10', '9007199254740993', '-', ' 1']],
  [envNumber({ min: 0 }), ['-1', 'NaN', 'Infinity', '1e999', '1,5', '']],
  [envPort, ['65536', '-1']],
  [envUrl, ['example.com', 'localhost:8000', 'mailto:x@y', 'http://']],
  [
    envDatabaseUrl,
    ['mysql://x/y', 'pglite://', 'pglite://a?b', 'postgres://u:p@w/z%@h/db', 'postgres://u:50%@h/db', 'x'],
  ],
])('refuses invalid values (%#)', (schema, texts) => {
  for (const text of texts) expect(schema.safeParse(text).success, text).toBe(false)
})

test('table and template mark required settings, and the template is a valid env file', () => {
  expect(settingsTable(settings)).toBe(
    [
      '| Setting | What it is | Default | Example |',
      '| --- | --- | --- | --- |',
      "| `NETUID` | The subnet's number. | required | `12` |",
      '| `NETWORK` | Which chain. | required | `finney` |',
      '| `PORT` | Where to listen. | `8000` | `8000` |',
      '| `PEERS` | Others \\| us. |  | `a,b` |',
      '| `TOKEN` | Who we are. | required | `a-long-random-text` |',
      '| `EXTRA` | Not needed. |  | `x` |',
      '',
    ].join('\n'),
  )
  const template = envTemplate(settings)
  expect(template).toContain("# The subnet's number. Required. Example: 12\nNETUID=\n")
  expect(template).toContain('# Where to listen. Example: 8000\n#PORT=8000\n')
  expect(template.split('\n').every(line => /^(#.*|[A-Z_]+=.*|)$/.test(line))).toBe(true)
})
