import { describe, expect, it } from 'vitest'
import { type Command, readCommand, usage } from './command-line.ts'

const json = false
const job = {
  ...{ miner: '3', source: { image: 'echo:v0' }, args: [], gpu: false, input: '', output: '' },
  ...{ executorClass: undefined, timeoutSeconds: undefined },
}

describe('the command line', () => {
  it.each<[string, Command]>([
    ['', { name: 'serve' }],
    ['serve', { name: 'serve' }],
    ['check', { name: 'check' }],
    ['batch', { name: 'batch', json, miners: [] }],
    ['batch --json', { name: 'batch', json: true, miners: [] }],
    ['batch --miner 3 --miner 5F@h:1', { name: 'batch', json, miners: ['3', '5F@h:1'] }],
    ['weights', { name: 'weights', json, dryRun: false }],
    ['weights --dry-run --json', { name: 'weights', json: true, dryRun: true }],
    ['run-job --miner 3 --image echo:v0', { name: 'run-job', job }],
    [
      'run-job --miner 3 --image echo:v0 -- -a --json b',
      { name: 'run-job', job: { ...job, args: ['-a', '--json', 'b'] } },
    ],
    [
      'run-job --miner 3 --script s.py --gpu --input http://i --output http://o --class always_on.test --timeout 9.5',
      {
        name: 'run-job',
        job: {
          ...{ ...job, source: { script: 's.py' }, gpu: true, input: 'http://i', output: 'http://o' },
          ...{ executorClass: 'always_on.test', timeoutSeconds: 9.5 },
        },
      },
    ],
    ['explain 3', { name: 'explain', miner: '3' }],
    ['--version', { name: 'version' }],
    ['--help', { name: 'help', of: undefined }],
    ['help batch', { name: 'help', of: 'batch' }],
    ['run-job -h', { name: 'help', of: 'run-job' }],
  ])('%s', (line, command) => {
    expect(readCommand(line.split(' ').filter(Boolean))).toEqual(command)
  })

  it.each([
    ['bathc', 'there is no command bathc'],
    ['constructor', 'there is no command constructor'],
    ['batch now', 'batch: '],
    ['check --json', 'check: '],
    ['--json', 'serve: '],
    ['explain', 'explain: one hotkey or uid is needed'],
    ['explain 1 2', 'explain: one hotkey or uid is needed'],
    ['run-job --image x', 'run-job: --miner is needed'],
    ['run-job --miner 3', 'run-job: exactly one of --image and --script'],
    ['run-job --miner 3 --image x --script y', 'run-job: exactly one of --image and --script'],
    ['run-job --miner 3 --image x --class huge', 'run-job: --class must be one of always_on'],
    ['run-job --miner 3 --image x --timeout soon', 'run-job: --timeout must be from 1 to 86400'],
    ['run-job --miner 3 --image x --timeout 0', 'run-job: --timeout must be'],
  ])('%s is refused', (line, mistake) => {
    expect(readCommand(line.split(' '))).toEqual({ mistake: expect.stringContaining(mistake) })
  })
})

describe('help', () => {
  it('names all commands', () => {
    for (const name of ['serve', 'check', 'batch', 'run-job', 'weights', 'explain']) {
      expect(usage()).toMatch(new RegExp(`^  ${name} +\\S`, 'm'))
    }
  })

  it('tells the options of one, and what follows them', () => {
    expect(usage('run-job')).toMatch(/^usage: \S+ \S+ run-job \[options\] -- \[arguments of the job\]$/m)
    expect(usage('run-job')).toMatch(/^ {2}--script FILE +or a Python script/m)
    expect(usage('weights')).toMatch(/^ {2}--dry-run +only says/m)
  })
})
