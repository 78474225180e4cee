import { expect, test } from 'vitest'
import { GenesisError, parseGenesis } from './genesis.ts'

const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'
const BOB = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty'

test('what is left out has the defaults of a new subnet', () => {
  const genesis = parseGenesis({ sudo: ALICE, subnets: [{ netuid: 12 }] })
  expect(genesis).toMatchObject({ balances: {}, stakeThreshold: 0n, adminFreezeWindow: 10 })
  expect(genesis.subnets).toEqual([{ netuid: 12, tempo: 360, hyperparameters: {}, neurons: [] }])
})

test('rao are numbers or digits', () => {
  const { balances } = parseGenesis({ sudo: ALICE, balances: { [ALICE]: 5, [BOB]: '18446744073709551610' } })
  expect(Object.values(balances)).toEqual([5n, (1n << 64n) - 6n])
})

test.each([
  [{}, 'sudo'],
  [{ sudo: 'x' }, 'sudo: not an SS58 address'],
  [{ sudo: ALICE, balances: { nobody: 1 } }, 'balances.nobody: not an SS58 address'],
  [{ sudo: ALICE, balances: { [ALICE]: -1 } }, `balances.${ALICE}`],
  [{ sudo: ALICE, balances: { [ALICE]: 2 ** 60 } }, `balances.${ALICE}`],
  [{ sudo: ALICE, balances: { [ALICE]: '18446744073709551616' } }, 'more than 64 bits'],
  [{ sudo: ALICE, balances: { [ALICE]: 6, [BOB]: '18446744073709551610' } }, 'together are more than 64 bits'],
  [{ sudo: ALICE, extra: 1 }, 'extra'],
  [{ sudo: ALICE, subnets: [{ netuid: 0 }] }, 'subnets.0.netuid'],
  [{ sudo: ALICE, subnets: [{ netuid: 1 }, { netuid: 1 }] }, 'subnets.1.netuid: netuid 1 is there twice'],
  [{ sudo: ALICE, subnets: [{ netuid: 1, hyperparameters: { Tempoo: 1 } }] }, 'Tempoo'],
  [{ sudo: ALICE, subnets: [{ netuid: 1, hyperparameters: { MaxWeightsLimit: 65_536 } }] }, 'MaxWeightsLimit'],
  [
    {
      sudo: ALICE,
      subnets: [{ netuid: 1, neurons: [{ hotkey: BOB, coldkey: ALICE, axon: { ip: '1.2.3', port: 1 } }] }],
    },
    'subnets.0.neurons.0.axon.ip',
  ],
  [
    {
      sudo: ALICE,
      subnets: [{ netuid: 1, neurons: [BOB, BOB].map(hotkey => ({ hotkey, coldkey: ALICE })) }],
    },
    'subnets.0.neurons.1.hotkey: this hotkey is there twice',
  ],
  [
    {
      sudo: ALICE,
      subnets: [{ netuid: 1, hyperparameters: { MaxAllowedUids: 0 }, neurons: [{ hotkey: BOB, coldkey: ALICE }] }],
    },
    'subnets.0.neurons: more neurons than MaxAllowedUids (0)',
  ],
])('%j is told where it is wrong', (genesis, said) => {
  expect(() => parseGenesis(genesis)).toThrow(GenesisError)
  expect(() => parseGenesis(genesis)).toThrow(said)
})

test('all mistakes come at once', () => {
  expect(() => parseGenesis({ sudo: 'x', balances: { y: 1 }, subnets: [{ netuid: -1 }] })).toThrow(
    /sudo: .*\n.*subnets\.0\.netuid/,
  )
})
