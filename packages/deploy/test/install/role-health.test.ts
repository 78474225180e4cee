/** Tests how the server's command decides whether a role is healthy enough to keep. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ServerFunctions } from '../../src/testing/server-functions.ts'

let server: ServerFunctions
beforeEach(async () => {
  server = await ServerFunctions.open()
})
afterEach(() => server[Symbol.asyncDispose]())

const answers = (command: string) => server.outputOf(command)

describe('the state of a role', () => {
  /** Runs a role whose health check prints `health`. Empty: it does not answer. */
  const withRole = (health: string) =>
    server.fake('docker', `case "$1" in ps) echo c1;; exec) printf '%s\\n' '${health}';; inspect) echo 0;; esac`)
  /** Returns what a health check prints. */
  const healthJson = (fields: object) =>
    JSON.stringify({
      ...{ version: '0.1.0', live: true, ready: false, complete: true, bad: [], warned: [] },
      ...fields,
      reasons: ['A "bad":["x"] reason.'],
    })
  /** Examines the role. Returns its state, its failing checks and its warnings, separated by `|`. */
  const examine = async () => (await answers('read_health; echo "$health|$lacks|$warnings"')).trim()

  test.each([
    ['no answer', '', 'unreachable||'],
    ['not live', healthJson({ live: false }), 'unreachable||'],
    ['ready', healthJson({ ready: true, warned: ['disk'] }), 'ready||disk'],
    ['failing checks', healthJson({ bad: ['weights version', 'permit'] }), 'unready|weights-version permit|'],
    ['not all checks done', healthJson({ complete: false, bad: ['chain'] }), 'starting|chain|'],
    ['no names of checks, as in older versions', '{"live":true,"ready":false,"reasons":["Why."]}', 'unready|unnamed|'],
  ])('follows from /health: %s', async (_, health, expected) => {
    await withRole(health)
    expect(await examine()).toBe(expected)
  })

  test('is good enough if no checks fail except tolerated ones', async () => {
    await withRole(healthJson({ bad: ['chain', 'disk'] }))
    const isWell = async (tolerated: string) =>
      (
        await answers(`read_health; if is_healthy "${tolerated}"; then echo yes; else echo "no: $not_tolerated"; fi`)
      ).trim()
    expect(await isWell('disk chain permit')).toBe('yes')
    expect(await isWell('chain')).toBe('no: disk')
    expect(await isWell('*')).toBe('yes')
    expect(await isWell('')).toBe('no: chain disk')
    await withRole('')
    expect(await isWell('*')).toBe('no:')
  })

  test('is good enough with a new warning only if that has not become a failure for a while', async () => {
    await withRole(healthJson({ ready: true, warned: ['class', 'disk'] }))
    const isWell = async (tolerated: string, seconds: number) =>
      (await answers(`seconds_up() { echo ${seconds}; }; read_health; is_healthy "${tolerated}" && echo yes`)).trim()
    expect(await isWell('disk class', 1)).toBe('yes')
    expect(await isWell('disk', 1)).toBe('')
    expect(await isWell('disk', 30)).toBe('yes')
    expect(await isWell('*', 1)).toBe('yes')
  })

  test('tolerates the checks that fail or warn now, and all checks if it does not answer', async () => {
    await withRole(healthJson({ bad: ['permit'], warned: ['chain'] }))
    expect((await answers('tolerated_now')).trim()).toBe('permit chain')
    await withRole('')
    expect((await answers('tolerated_now')).trim()).toBe('*')
  })

  test('is never good enough without its database', async () => {
    await withRole(healthJson({ bad: ['database', 'registration'] }))
    expect(
      (await answers('seconds_up() { echo 99; }; read_health; is_healthy || echo "no: $not_tolerated"')).trim(),
    ).toBe('no: database')
    await withRole(healthJson({ bad: ['registration'] }))
    expect((await answers('seconds_up() { echo 99; }; read_health; is_healthy && echo yes')).trim()).toBe('yes')
    expect((await answers('seconds_up() { echo 1; }; read_health; is_healthy || echo "not yet"')).trim()).toBe(
      'not yet',
    )
  })
})

test('a rollback whose backup cannot be written starts the current version again', async () => {
  const current = 'mkdir -p "$folder"; echo COMPUTE_HORDE_VERSION=0.2.0 >"$folder/.env"; touch "$folder/compose.yml"'
  const well =
    'start_database() { :; }; needed_schema() { echo 0; }; can_read() { :; }; start_and_wait() { health=ready; }'
  const { code, output } = await server.call(
    `${current}; ${well}; write_backup() { return 1; }; switch_to 0.1.0 old.tar`,
  )
  expect(output).toContain('miner 0.2.0 is healthy again, with the database as it is.')
  expect(output).toContain('failed the backup could not be written (above); 0.2.0 runs again')
  expect(code).toBe(1)
})
