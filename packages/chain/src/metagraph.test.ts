import { describe, expect, it } from 'vitest'
import {
  DEFAULT_VALIDATOR_RULE,
  isServing,
  type Metagraph,
  type Neuron,
  neuronOf,
  RAO_PER_TAO,
  type ValidatorRule,
  validatorsOf,
} from './metagraph.ts'

const neuron = (uid: number, tao: number, rest: Partial<Neuron> = {}): Neuron => ({
  uid,
  hotkey: `hotkey-${uid}`,
  coldkey: `coldkey-${uid}`,
  stakeRao: BigInt(tao) * RAO_PER_TAO,
  validatorPermit: true,
  lastUpdate: 0,
  axon: null,
  ...rest,
})
const metagraph = (neurons: Neuron[], rule?: Partial<ValidatorRule>): Metagraph => ({
  ...{ netuid: 12, block: 100, neurons },
  ...(rule && { validatorRule: { ...DEFAULT_VALIDATOR_RULE, ...rule, fromChain: { max: true, minStake: true } } }),
})
const uids = (neurons: Neuron[]): number[] => neurons.map(({ uid }) => uid)

describe('validatorsOf', () => {
  it('orders by stake, and ties by lower uid', () => {
    const subnet = metagraph([neuron(0, 2_000), neuron(1, 5_000), neuron(2, 2_000), neuron(3, 9_000)])
    expect(uids(validatorsOf(subnet))).toEqual([3, 1, 0, 2])
  })

  it('requires exactly 1,000 TAO or more, and a permit', () => {
    const neurons = [
      neuron(0, 1_000),
      neuron(1, 0, { stakeRao: 1_000n * RAO_PER_TAO - 1n }),
      neuron(2, 5_000, { validatorPermit: false }),
      neuron(3, 0),
    ]
    expect(uids(validatorsOf(metagraph(neurons)))).toEqual([0])
    expect(uids(validatorsOf(metagraph(neurons), { permitNeeded: false }))).toEqual([2, 0])
    expect(uids(validatorsOf(metagraph(neurons, { minStakeRao: 1n })))).toEqual([0, 1])
  })

  it('never includes a neuron without stake, even if the chain requires none', () => {
    expect(uids(validatorsOf(metagraph([neuron(0, 0), neuron(1, 1)], { minStakeRao: 0n })))).toEqual([1])
  })

  it('includes the 24 with the most stake', () => {
    const subnet = metagraph(Array.from({ length: 30 }, (_, uid) => neuron(uid, 1_000 + uid)))
    expect(uids(validatorsOf(subnet))).toEqual(Array.from({ length: 24 }, (_, i) => 29 - i))
  })

  it('adds extra and removes banned hotkeys; a ban overrides and makes room', () => {
    const subnet = metagraph([neuron(0, 3_000), neuron(1, 2_000), neuron(2, 1), neuron(3, 1_500)], { max: 2 })
    const options = { extra: ['hotkey-2', 'hotkey-0', 'not-on-the-subnet'], banned: ['hotkey-0'] }
    expect(uids(validatorsOf(subnet, options))).toEqual([1, 3, 2])
  })
})

it('finds serving neurons, and a neuron by its hotkey', () => {
  const axon = { ip: '127.0.0.2', port: 8000, ipType: 4, protocol: 4, version: 1, block: 3 } as const
  const subnet = metagraph([
    neuron(0, 0, { axon }),
    neuron(1, 0),
    neuron(2, 0, { axon: { ...axon, ip: '0.0.0.0' } }),
    neuron(3, 0, { axon: { ...axon, port: 0 } }),
  ])
  expect(subnet.neurons.filter(isServing).map(({ uid }) => uid)).toEqual([0])
  expect(neuronOf(subnet, 'hotkey-2')?.uid).toBe(2)
  expect(neuronOf(subnet, 'hotkey-9')).toBeUndefined()
})
