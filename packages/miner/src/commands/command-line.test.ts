import { version } from '@horde/kit/version'
import { describe, expect, it } from 'vitest'
import { minerProgram } from './command-line.ts'

/** Runs a line with handlers that record their calls. */
async function run(line: string) {
  const called: unknown[][] = []
  const output = { stdout: '', stderr: '' }
  const record = (name: string) => {
    return async (...options: unknown[]) => {
      called.push([name, ...options])
      return 7
    }
  }
  const print = (text: string) => {
    output.stdout += text
  }
  const complain = (text: string) => {
    output.stderr += text
  }
  const program = minerProgram(
    { print, complain },
    {
      ...{ serve: record('serve'), check: record('check'), announce: record('announce') },
      ...{ validators: record('validators'), jobs: record('jobs'), unpin: record('unpin') },
    },
  )
  const code = await program.run(line.split(' ').filter(Boolean))
  return { code, called, ...output }
}

const json = false
const jobs = { json, last: 20, state: undefined }

describe('the command line', () => {
  it.each<[string, ...unknown[]]>([
    ['', 'serve'],
    ['serve', 'serve'],
    ['check', 'check'],
    ['announce', 'announce'],
    ['validators', 'validators', { json }],
    ['validators --json', 'validators', { json: true }],
    ['jobs', 'jobs', jobs],
    ['unpin 5V', 'unpin', '5V'],
    ['jobs --last 5 --state failed --json', 'jobs', { json: true, last: 5, state: 'failed' }],
    ['jobs --last=1000', 'jobs', { ...jobs, last: 1_000 }],
  ])('runs %j and returns the exit code of its command', async (line, ...call) => {
    expect(await run(line)).toEqual({ code: 7, called: [call], stdout: '', stderr: '' })
  })

  it.each([
    ['nonsense', "unknown command 'nonsense'"],
    ['constructor', "unknown command 'constructor'"],
    ['serve now', "too many arguments for 'serve'"],
    ['check --json', "unknown option '--json'"],
    ['--json', "unknown option '--json'"],
    ['jobs --last 0', "'0' is invalid. It must be a whole number from 1 to 1000"],
    ['jobs --last 1001', "'1001' is invalid. It must be a whole number from 1 to 1000"],
    ['jobs --last ten', "'ten' is invalid. It must be a whole number from 1 to 1000"],
    ['jobs --last', "option '--last <last>' argument missing"],
    ['jobs --state gone', 'Allowed choices are offered, accepted'],
  ])('refuses %j, shows the usage on stderr and exits with 64', async (line, mistake) => {
    const { code, called, stdout, stderr } = await run(line)
    expect([code, called, stdout]).toEqual([64, [], ''])
    expect(stderr).toContain(mistake)
    expect(stderr).toContain('\n\nUsage: node packages/miner/src/main.ts ')
  })

  it('prints the version', async () => {
    expect(await run('--version')).toEqual({ code: 0, called: [], stdout: `${version}\n`, stderr: '' })
  })
})

describe('the help', () => {
  it.each(['--help', '-h', 'help'])('lists every command after %j', async line => {
    const { code, called, stdout, stderr } = await run(line)
    expect([code, called, stderr]).toEqual([0, [], ''])
    for (const name of ['serve', 'check', 'validators', 'jobs', 'unpin', 'announce']) {
      expect(stdout).toMatch(new RegExp(`^  ${name} .*\\S`, 'm'))
    }
  })

  it.each(['help jobs', 'jobs --help', 'jobs --last 5 -h'])(
    'describes the options of one command after %j',
    async line => {
      const { code, called, stdout } = await run(line)
      expect([code, called]).toEqual([0, []])
      expect(stdout).toMatch(/^Usage: node packages\/miner\/src\/main\.ts jobs \[options\]$/m)
      expect(stdout).toMatch(/^ {2}--last <last> +how many, at most 1000 \(default: 20\)$/m)
      expect(stdout).toMatch(/^ {2}--json +as JSON$/m)
    },
  )
})
