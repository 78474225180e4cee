import { expect, test } from 'vitest'
import { GenesisError, parseGenesis } from './genesis.ts'

const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'
const BOB = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty'

test('uses the defaults of a new subnet for missing values', () => {
  const genesis = parseGenesis({ sudo: ALICE, subnets: [{ netuid: 12 }] })
  expect(genesis).toMatchObject({ balances: {}, stakeThreshold: 0n, adminFreezeWindow: 10 })
  expect(genesis.subnets).toEqual([{ netuid: 12, tempo: 360, hyperparameters: {}, neurons: [] }])
})

test('reads rao as numbers or digits', () => {
  const { balances } = parseGenesis({ sudo: ALICE, balances: { [ALICE]: 5, [BOB]: '18446744073709551610' } })
  expect(Object.values(balances)).toEqual([5n, (1n << 64n) - 6n])
})

test('reads axons with IPv4 or IPv6', () => {
  const neurons = ['10.0.0.7', '2001:db8::7', '::ffff:1.2.3.4'].map((ip, i) => {
    return { hotkey: `0x${'00'.repeat(31)}0${i + 1}`, coldkey: ALICE, axon: { ip, port: 1 } }
  })
  const { subnets } = parseGenesis({ sudo: ALICE, subnets: [{ netuid: 1, neurons }] })
  expect(subnets[0]?.neurons.map(({ axon }) => axon)).toEqual([
    { ip: 0x0a00_0007n, ip_type: 4, port: 1 },
    { ip: 0x2001_0db8_0000_0000_0000_0000_0000_0007n, ip_type: 6, port: 1 },
    { ip: 0xffff_0102_0304n, ip_type: 6, port: 1 },
  ])
})

test.each([
  [{}, 'sudo'],
  [{ sudo: 'x' }, 'sudo: not an SS58 address'],
  [{ sudo: ALICE, balances: { 'no address': 1 } }, 'balances.no address: not an SS58 address'],
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
])('reports the path of the mistake in %j', (genesis, message) => {
  expect(() => parseGenesis(genesis)).toThrow(GenesisError)
  expect(() => parseGenesis(genesis)).toThrow(message)
})

test('reports all mistakes at once', () => {
  expect(() => parseGenesis({ sudo: 'x', balances: { y: 1 }, subnets: [{ netuid: -1 }] })).toThrow(
    /sudo: .*\n.*subnets\.0\.netuid/,
  )
})
