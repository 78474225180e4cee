import { expect, it } from 'vitest'
import type { Metagraph, Neuron } from './metagraph.ts'
import { RAO_PER_TAO } from './metagraph.ts'
import { rankValidators } from './rank-validators.ts'

const neuron = (uid: number, tao: bigint, validatorPermit = true): Neuron => ({
  ...{ uid, hotkey: `5Neuron${uid}`, coldkey: '5Cold', stakeRao: tao * RAO_PER_TAO, validatorPermit },
  ...{ lastUpdate: 0, axon: null },
})
const neurons = [neuron(0, 1_500n), neuron(1, 9_000n), neuron(2, 5n), neuron(3, 8_000n), neuron(4, 7_000n, false)]
const metagraph: Metagraph = { netuid: 1, block: 1, neurons }

it('lists those with the most stake first, then extra ones that are not on the subnet, then the banned', () => {
  const extra = ['5Neuron2', '5Elsewhere', '5Neuron1']
  const banned = ['5Neuron3', '5Nobody']
  const shown = rankValidators(metagraph, { extra, banned }).map(({ rank, hotkey, note }) => [rank, hotkey, note])
  expect(shown).toEqual([
    [1, '5Neuron1', null],
    [2, '5Neuron0', null],
    [3, '5Neuron2', 'extra'],
    [null, '5Elsewhere', 'extra'],
    [null, '5Neuron3', 'banned'],
    [null, '5Nobody', 'banned'],
  ])
})

it('includes uid, stake and permit', () => {
  const [first, second] = rankValidators(metagraph, { extra: [], banned: ['5Nobody'] })
  expect(first).toEqual({ rank: 1, hotkey: '5Neuron1', uid: 1, stakeTao: 9_000, permit: true, note: null })
  expect(second).toMatchObject({ rank: 2, hotkey: '5Neuron3' })
})

it('lists only those of the settings before the first metagraph', () => {
  const shown = rankValidators(undefined, { extra: ['5A', '5B', '5A'], banned: ['5B'] })
  expect(shown).toMatchObject([
    { rank: null, hotkey: '5A', uid: null, stakeTao: null, note: 'extra' },
    { hotkey: '5B', note: 'banned' },
  ])
})
