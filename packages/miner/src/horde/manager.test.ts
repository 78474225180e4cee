import { expect, it } from 'vitest'
import { exitCodeOf, type StartedCommand } from './manager.ts'

it.each([
  ['its own', { exited: Promise.resolve('done'), exitCode: Promise.resolve(3) }, 3],
  ['none after a signal', { exited: Promise.resolve('exit code 0'), exitCode: Promise.resolve(undefined) }, undefined],
  ['that of its words', { exited: Promise.resolve('exit code 12') }, 12],
  ['none when the words have none', { exited: Promise.resolve('signal SIGKILL') }, undefined],
])('reads the exit code of a command: %s', async (_name, command, code) => {
  const started: StartedCommand = { id: 'command', stop: async () => {}, ...command }
  expect(await exitCodeOf(started)).toBe(code)
})
