import { bad, ok, warn } from '@horde/kit/check/finding'
import { serviceHealth } from '@horde/operator/admin/health'
import { expect, it } from 'vitest'
import { lacksOf, type ValidatorStatus } from './status.ts'

type Input = Parameters<typeof lacksOf>[0] & Pick<ValidatorStatus, 'watches'>

const loop = (failuresInARow: number) => ({ name: 'batches', state: { running: false, runs: 9, failuresInARow } })
const away = { connected: false, endpoint: null, lastBlock: null }
const well: Input = {
  chain: { connected: true, endpoint: 'ws://node', lastBlock: null },
  loops: [loop(2)],
  facilitator: undefined,
  subnetAgeMs: undefined,
  watches: [{ watch: 'disk', lookedAtMs: 0, verdict: 'ok', findings: [ok('disk', 'room')] }],
}

it.each<[string, Partial<Input>, bad: string[], warned: string[], reasons: string[]]>([
  ['nothing is wrong', {}, [], [], []],
  ['the chain is away', { chain: away }, ['chain'], [], ['There is no connection to the chain.']],
  ['a loop keeps failing', { loops: [loop(3)] }, ['loop batches'], [], ['The last 3 runs of batches failed.']],
  [
    'a loop fails because the chain is away',
    { loops: [loop(3)], chain: away },
    ['chain'],
    [],
    ['There is no connection to the chain.', 'The last 3 runs of batches failed.'],
  ],
  [
    'the facilitator is away',
    { facilitator: { connected: false, dialect: null, running: 0, waiting: 0 } },
    ['facilitator'],
    [],
    ['There is no connection to the facilitator.'],
  ],
  [
    'the facilitator is connected',
    { facilitator: { connected: true, dialect: 'v0', running: 0, waiting: 0 } },
    [],
    [],
    [],
  ],
  [
    "the chain's answer about the subnet is old",
    { subnetAgeMs: 301_000 },
    [],
    ['chain'],
    ["The chain's last answer about the subnet is 301 s old: the chain does not answer."],
  ],
  [
    'watches found problems',
    {
      watches: [
        {
          watch: 'a',
          lookedAtMs: 0,
          verdict: 'bad',
          findings: [bad('permit', 'none', 'stake'), warn('clock', 'off', 'set it')],
        },
      ],
    },
    ['permit'],
    ['clock'],
    ['Permit: none. To do: stake.', 'Clock: off. To do: set it.'],
  ],
])('reports health when %s', (_, changes, badNames, warned, reasons) => {
  const ready = badNames.length === 0
  const status = { ...well, ...changes }
  const expected = { live: true, ready, complete: true, bad: badNames, warned, reasons }
  expect(serviceHealth(lacksOf(status), status.watches)).toEqual(expected)
})
