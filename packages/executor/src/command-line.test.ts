import { expect, test } from 'vitest'
import { startupLimitMs } from './command-line.ts'

test.each([
  [[], undefined],
  [['python', 'manage.py', 'run_executor'], undefined],
  [['python', 'manage.py', 'run_executor', '--startup-time-limit', '30'], 30_000],
  [['run_executor', '--job-runner-class', 'a.B', '--startup-time-limit=5', '--more'], 5_000],
  [['--startup-time-limit', '0'], 0],
  [['--startup-time-limit'], undefined],
  [['--startup-time-limit', 'soon'], undefined],
  [['--startup-time-limit', '-1'], undefined],
  [['--startup-time-limit', '99999999'], undefined],
  [['--startup-time-limits', '5'], undefined],
])('reads %j as %s ms', (args, ms) => {
  expect(startupLimitMs(args)).toBe(ms)
})
