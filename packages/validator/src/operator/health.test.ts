import { bad, ok, warn } from '@horde/kit/check/finding'
import { expect, it } from 'vitest'
import { type HealthSources, healthOf } from './health.ts'

const loop = (failuresInARow: number) => ({
  ...{ name: 'batches', state: () => ({ running: false, runs: 9, failuresInARow }) },
})
const well: HealthSources = {
  chain: () => ({ connected: true, endpoint: 'ws://node', lastBlock: null }),
  loops: () => [loop(2)],
  facilitator: () => undefined,
  subnetAgeMs: () => undefined,
  watches: () => [{ watch: 'disk', lookedAtMs: 0, verdict: 'ok', findings: [ok('disk', 'room')] }],
}

it.each<[string, Partial<HealthSources>, bad: string[], warned: string[], reasons: string[]]>([
  ['all is well', {}, [], [], []],
  [
    'the chain is away',
    { chain: () => ({ connected: false, endpoint: null, lastBlock: null }) },
    ['chain'],
    [],
    ['There is no connection to the chain.'],
  ],
  [
    'a loop fails again and again',
    { loops: () => [loop(3)] },
    ['loop batches'],
    [],
    ['The last 3 runs of batches failed.'],
  ],
  [
    'a loop fails because the chain is away',
    { loops: () => [loop(3)], chain: () => ({ connected: false, endpoint: null, lastBlock: null }) },
    ['chain'],
    [],
    ['There is no connection to the chain.', 'The last 3 runs of batches failed.'],
  ],
  [
    'the facilitator is away',
    { facilitator: () => ({ connected: false, running: 0, waiting: 0 }) },
    ['facilitator'],
    [],
    ['There is no connection to the facilitator.'],
  ],
  ['it is there', { facilitator: () => ({ connected: true, running: 0, waiting: 0 }) }, [], [], []],
  [
    'what is known of the subnet is old',
    { subnetAgeMs: () => 301_000 },
    [],
    ['chain'],
    ['What is known of the subnet is 301 s old: the chain does not answer.'],
  ],
  [
    'watches found something',
    {
      watches: () => [
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
])('%s', (_, change, badNames, warned, reasons) => {
  const ready = badNames.length === 0
  const said = { live: true, ready, complete: true, bad: badNames, warned, reasons }
  expect(healthOf({ ...well, ...change })).toEqual(said)
})
