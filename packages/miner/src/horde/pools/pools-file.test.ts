import { ConfigError } from '@horde/kit/config'
import { expect, it } from 'vitest'
import { parsePools } from './pools-file.ts'

const DEFAULTS = {
  manager: 'docker',
  image: 'executor:v0',
  program: 'compute-horde' as const,
  folder: undefined,
  engine: { socket: '/run/docker.sock' },
  environment: { A: '1', B: '1' },
}
const parse = (yaml: string) => parsePools(yaml, 'pools.yml', DEFAULTS)

function mistakesOf(yaml: string): string[] {
  try {
    parse(yaml)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.mistakes.map(({ problem }) => problem)
  }
}

it('reads pools, each with what the miner has where it says nothing else', () => {
  const pools = parse(`
pools:
  - class: always_on.gpu-24gb
    count: 4
    warm: 2
    gpus: [0, 1, 2, 3, 4, 5, 6, GPU-7]
    environment: { B: 2, MEMORY_LIMIT_BYTES: 1000 }
  - name: cpu
    class: always_on.cpu.8c.16gb
    count: 1
    manager: process
    engine: { socket: /run/other.sock }
    address: 127.0.0.1
`)
  expect(pools).toEqual([
    {
      name: 'always_on.gpu-24gb',
      executorClass: 'always_on.gpu-24gb',
      count: 4,
      warm: 2,
      manager: 'docker',
      image: 'executor:v0',
      program: 'compute-horde',
      folder: undefined,
      engine: { socket: '/run/docker.sock' },
      gpus: [
        ['0', '1'],
        ['2', '3'],
        ['4', '5'],
        ['6', 'GPU-7'],
      ],
      environment: { A: '1', B: '2', MEMORY_LIMIT_BYTES: '1000' },
      address: undefined,
    },
    {
      ...{ ...DEFAULTS, name: 'cpu', executorClass: 'always_on.cpu.8c.16gb', count: 1, warm: 0 },
      ...{ manager: 'process', engine: { socket: '/run/other.sock' }, gpus: [], address: '127.0.0.1' },
    },
  ])
})

it('reports every mistake, with its line', () => {
  const classes = /must be one of always_on\.gpu-24gb, /
  expect(
    mistakesOf(`pools:
  - class: gold
    count: lots
    colour: red
  - count: 2
    class: always_on.test
    warm: -1
`),
  ).toEqual([
    expect.stringMatching(new RegExp(`^pools\\.yml:2: pools\\[0\\]\\.class ${classes.source}`)),
    'pools.yml:3: pools[0].count must be a whole number from 0 to 1024',
    'pools.yml:4: pools[0].colour is not something that a pool has',
    expect.stringMatching(/^pools\.yml:7: pools\[1\]\.warm /),
  ])
})

it.each([
  ['nothing', '', ['pools.yml:1: must be a map with pools']],
  ['no YAML', 'pools: [', [expect.stringMatching(/^pools\.yml:1: Flow sequence/)]],
  ['no pool', 'pools: []', ['pools.yml:1: pools must name at least one pool']],
  ['no count', 'pools:\n  - class: always_on.test\n', ['pools.yml:2: pools[0].count is missing']],
  [
    'two of one name',
    'pools:\n  - {class: always_on.test, count: 1}\n  - {class: always_on.test, count: 2}',
    ['pools.yml:3: pools[1].name is always_on.test, as that of pools[0]'],
  ],
  [
    'more that wait than there are',
    'pools:\n  - class: always_on.test\n    count: 1\n    warm: 2',
    ['pools.yml:4: pools[0].warm must not be more than count (1)'],
  ],
  [
    'GPUs that can not be shared',
    'pools:\n  - {class: always_on.gpu-24gb, count: 3, gpus: [0, 1, 2, 3]}',
    ['pools.yml:2: pools[0].gpus has 4, which 3 executors cannot share evenly; set gpus_per_executor'],
  ],
  [
    'too few GPUs',
    'pools:\n  - {class: always_on.gpu-24gb, count: 3, gpus: [0, 1, 2, 3], gpus_per_executor: 2}',
    ['pools.yml:2: pools[0].gpus has 4, but 3 executors with 2 each need 6'],
  ],
  [
    'an engine that is none',
    'pools:\n  - class: always_on.test\n    count: 1\n    engine:\n      host: http://x',
    ['pools.yml:5: pools[0].engine host must be tcp://host:port or ssh://user@host:port, with nothing behind it'],
  ],
  [
    'a GPU twice',
    'pools:\n  - {name: a, class: always_on.gpu-24gb, count: 1, gpus: [0]}\n' +
      '  - {name: b, class: always_on.gpu-24gb, count: 1, gpus: [0]}',
    ['pools.yml:3: pools[1].gpus[0] is 0, which pools[0] has'],
  ],
])('refuses %s', (_words, yaml, mistakes) => {
  expect(mistakesOf(yaml)).toEqual(mistakes)
})

it('takes Python executors only as they can be run', () => {
  expect(
    mistakesOf(`
pools:
  - { class: always_on.gpu-24gb, program: python-2026, count: 2, warm: 1, gpus: [0, 1] }
  - { class: always_on.test, program: python-2026, manager: process, count: 1 }
  - { name: c, class: always_on.test, program: python-2026, count: 1 }
  - { name: d, class: always_on.test, program: python-2024, count: 2, warm: 2 }
`),
  ).toEqual([
    'pools.yml:3: pools[0].gpus must be empty: Python executors use all GPUs',
    'pools.yml:3: pools[0].count must be at most 1: a Python executor of 2026 kills the jobs of all others on its ' +
      'engine when it starts',
    'pools.yml:3: pools[0].warm must be 0: this executor leaves when it gets no job at once',
    'pools.yml:4: pools[1].folder is missing: it is the folder with manage.py of a Python executor',
    'pools.yml:5: pools[2] has a Python executor on the same engine as pools[0], but a Python executor of 2026 kills ' +
      'the jobs of all others on its engine when it starts',
  ])
  expect(mistakesOf('pools:\n  - { class: always_on.test, program: python-2025, count: 2 }')).toEqual([
    'pools.yml:2: pools[0].program must be one of compute-horde, python-2024, python-2026',
  ])
})
