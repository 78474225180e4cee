import { describe, expect, it } from 'vitest'
import { type Command, readCommand, usage } from './command-line.ts'

const json = false
const jobs = { name: 'jobs', json, last: 20, state: undefined } as const

describe('the command line', () => {
  it.each<[string, Command]>([
    ['', { name: 'serve' }],
    ['serve', { name: 'serve' }],
    ['check', { name: 'check' }],
    ['announce', { name: 'announce' }],
    ['validators', { name: 'validators', json }],
    ['validators --json', { name: 'validators', json: true }],
    ['jobs', jobs],
    ['jobs --last 5 --state failed --json', { name: 'jobs', json: true, last: 5, state: 'failed' }],
    ['jobs --last=1000', { ...jobs, last: 1_000 }],
    ['--version', { name: 'version' }],
    ['--help', { name: 'help', of: undefined }],
    ['-h', { name: 'help', of: undefined }],
    ['help', { name: 'help', of: undefined }],
    ['help jobs', { name: 'help', of: 'jobs' }],
    ['jobs --help', { name: 'help', of: 'jobs' }],
    ['check -h', { name: 'help', of: 'check' }],
    ['jobs --last 5 --help', { name: 'help', of: 'jobs' }],
  ])('%s', (line, command) => {
    expect(readCommand(line.split(' ').filter(Boolean))).toEqual(command)
  })

  it.each([
    ['nonsense', 'there is no command nonsense'],
    ['constructor', 'there is no command constructor'],
    ['serve now', 'serve: '],
    ['check --json', 'check: '],
    ['--json', 'serve: '],
    ['jobs --last 0', 'jobs: --last must be from 1 to 1000'],
    ['jobs --last 1001', 'jobs: --last must be from 1 to 1000'],
    ['jobs --last ten', 'jobs: --last must be from 1 to 1000'],
    ['jobs --last', 'jobs: '],
    ['jobs --state gone', 'jobs: --state must be one of offered, accepted'],
  ])('%s is refused', (line, mistake) => {
    expect(readCommand(line.split(' '))).toEqual({ mistake: expect.stringContaining(mistake) })
  })
})

describe('help', () => {
  it('names all commands', () => {
    for (const name of ['serve', 'check', 'validators', 'jobs', 'announce']) {
      expect(usage()).toMatch(new RegExp(`^  ${name} +\\S`, 'm'))
    }
  })

  it('tells the options of one', () => {
    expect(usage('jobs')).toMatch(/^ {2}--last LAST +how many.*\n {2}--state STATE +.*\n {2}--json +as JSON$/m)
    expect(usage('check')).not.toContain('--')
  })
})
