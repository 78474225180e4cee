import { version } from '@horde/kit/version'
import { describe, expect, it } from 'vitest'
import { validatorProgram } from './command-line.ts'

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
  const program = validatorProgram(
    { print, complain },
    {
      ...{ serve: record('serve'), check: record('check'), batch: record('batch') },
      ...{ runJob: record('runJob'), weights: record('weights'), explain: record('explain') },
    },
  )
  const code = await program.run(line.split(' ').filter(Boolean))
  return { code, called, ...output }
}

const json = false
const job = {
  ...{ miner: '3', source: { image: 'echo:v0' }, args: [], gpu: false, input: '', output: '' },
  ...{ executorClass: undefined, timeoutSeconds: undefined },
}

describe('the command line', () => {
  it.each<[string, ...unknown[]]>([
    ['', 'serve'],
    ['serve', 'serve'],
    ['check', 'check'],
    ['batch', 'batch', { json, miners: [] }],
    ['batch --json', 'batch', { json: true, miners: [] }],
    ['batch --miner 3 --miner 5F@h:1', 'batch', { json, miners: ['3', '5F@h:1'] }],
    ['weights', 'weights', { json, dryRun: false }],
    ['weights --dry-run --json', 'weights', { json: true, dryRun: true }],
    ['run-job --miner 3 --image echo:v0', 'runJob', job],
    ['run-job --miner 3 --image echo:v0 -- -a --json b', 'runJob', { ...job, args: ['-a', '--json', 'b'] }],
    [
      'run-job --miner 3 --script s.py --gpu --input http://i --output http://o --class always_on.test --timeout 9.5',
      'runJob',
      {
        ...{ ...job, source: { script: 's.py' }, gpu: true, input: 'http://i', output: 'http://o' },
        ...{ executorClass: 'always_on.test', timeoutSeconds: 9.5 },
      },
    ],
    ['explain 3', 'explain', { miner: '3' }],
  ])('runs %j and returns the exit code of its command', async (line, ...call) => {
    expect(await run(line)).toEqual({ code: 7, called: [call], stdout: '', stderr: '' })
  })

  it.each([
    ['bathc', "unknown command 'bathc'"],
    ['constructor', "unknown command 'constructor'"],
    ['batch now', "too many arguments for 'batch'"],
    ['check --json', "unknown option '--json'"],
    ['--json', "unknown option '--json'"],
    ['explain', "missing required argument 'miner'"],
    ['explain 1 2', "too many arguments for 'explain'"],
    ['run-job --image x', "required option '--miner <miner>' not specified"],
    ['run-job --miner 3', 'exactly one of --image and --script is needed'],
    ['run-job --miner 3 --image x --script y', 'exactly one of --image and --script is needed'],
    ['run-job --miner 3 --image x --class huge', 'Allowed choices are always_on'],
    ['run-job --miner 3 --image x --timeout soon', "'soon' is invalid. It must be from 1 to 86400"],
    ['run-job --miner 3 --image x --timeout 0', "'0' is invalid. It must be from 1 to 86400"],
  ])('refuses %j, shows the usage on stderr and exits with 64', async (line, mistake) => {
    const { code, called, stdout, stderr } = await run(line)
    expect([code, called, stdout]).toEqual([64, [], ''])
    expect(stderr).toContain(mistake)
    expect(stderr).toContain('\n\nUsage: node packages/validator/src/main.ts ')
  })

  it('prints the version', async () => {
    expect(await run('--version')).toEqual({ code: 0, called: [], stdout: `${version}\n`, stderr: '' })
  })
})

describe('the help', () => {
  it.each(['--help', '-h', 'help'])('lists every command after %j', async line => {
    const { code, called, stdout, stderr } = await run(line)
    expect([code, called, stderr]).toEqual([0, [], ''])
    for (const name of ['serve', 'check', 'batch', 'run-job', 'weights', 'explain']) {
      expect(stdout).toMatch(new RegExp(`^  ${name} .*\\S`, 'm'))
    }
  })

  it.each(['help run-job', 'run-job --help', 'run-job --gpu -h'])('describes one command after %j', async line => {
    const { code, called, stdout } = await run(line)
    expect([code, called]).toEqual([0, []])
    expect(stdout).toMatch(/^Usage: node packages\/validator\/src\/main\.ts run-job \[options\] \[arguments\.\.\.\]$/m)
    expect(stdout).toMatch(/^ {2}--script <file> +or a Python script/m)
  })
})
