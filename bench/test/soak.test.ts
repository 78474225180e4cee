import { type Answer, complaintsAbout, exitsWith, finishes, timesOut } from '@horde/testing/hostile/trial'
import { expect, test } from 'vitest'
import { grown } from '../soak/figures.ts'
import { readOptions } from '../soak/options.ts'
import { partsOf } from '../soak/parts.ts'

const failed: Answer = {
  message_type: 'V0FailedRequest',
  job_uuid: '00000000-0000-4000-8000-000000000000' as Answer['job_uuid'],
  docker_process_exit_status: 3,
  timeout: false,
  docker_process_stdout: 'out\n',
  docker_process_stderr: 'one\ntwo\n',
}

test('complains about an unexpected answer, and not about an expected one', () => {
  expect(complaintsAbout(failed, exitsWith(3, { stdout: 'out\n', lastLine: /^two$/ }))).toEqual([])
  expect(complaintsAbout(failed, exitsWith(4))[0]).toBe('the exit status is 3, expected 4')
  expect(complaintsAbout(failed, exitsWith(3, { lastLine: /one/ }))[0]).toMatch(/^the last line of stderr is "two"/)
  expect(complaintsAbout(failed, exitsWith(3, { stdout: 'out' }))[0]).toMatch(/^stdout is "out\\n"/)
  expect(complaintsAbout(failed, finishes(/out/))[0]).toMatch(/^the message is "V0FailedRequest"/)
  expect(complaintsAbout(failed, timesOut)).toContain('the timeout is false, expected true')
})

test('reports figures that grew beyond their limit; on a shared engine only its own', () => {
  const before = { containers: 1, 'open files of dockerd': 50, 'containers of dead executors': 0 }
  const after = { containers: 2, 'open files of dockerd': 60, 'containers of dead executors': 1 }
  expect(grown(before, before, false)).toEqual([])
  expect(grown(before, after, false)).toEqual(['containers of dead executors', 'containers'])
  expect(grown(before, after, true)).toEqual(['containers of dead executors'])
  expect(grown(before, { ...after, 'open files of dockerd': 61 }, false)).toContain('open files of dockerd')
})

test('draws the same jobs in the same order for the same seed, and others for another seed', () => {
  const drawn = (seed: string) => {
    const parts = partsOf(readOptions(['--seed', seed, '--jobs', '20', '--at-once', '3', '--hostile', '2']))
    return parts.flatMap(({ trials }) => trials.map(({ name, parts }) => [name, parts]))
  }
  expect(drawn('7')).toEqual(drawn('7'))
  expect(drawn('7')).not.toEqual(drawn('8'))
})

test('runs every hostile job in every round, with an honest job after each', () => {
  const parts = partsOf(readOptions(['--jobs', '0', '--at-once', '0', '--hostile', '2']))
  expect(parts.map(({ name }) => name)).toEqual(['hostile, round 1', 'hostile, round 2'])
  const names = parts.map(({ trials }) => trials.map(({ name }) => name))
  const hostile = names.map(all => all.filter((_, at) => at % 2 === 0).sort())
  expect(hostile[0]).toEqual(hostile[1])
  expect(new Set(hostile[0]).size).toBe(hostile[0]?.length)
  expect(names.flat().filter(name => name.startsWith('honest')).length).toBe(names.flat().length / 2)
})
