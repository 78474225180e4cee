import { type Neuron, RAO_PER_TAO } from '@horde/chain/metagraph'
import { describe, expect, it } from 'vitest'
import { standingFindings, standingOf, standingWatch } from './standing.ts'

const neuron = (uid: number, stakeTao: number, validatorPermit = true): Neuron => ({
  ...{ uid, hotkey: `hotkey-${uid}`, coldkey: 'cold', stakeRao: BigInt(stakeTao) * RAO_PER_TAO, validatorPermit },
  ...{ lastUpdate: 0, axon: null },
})
const subnet = (...neurons: Neuron[]) => ({ metagraph: { netuid: 1, block: 1, neurons }, stakeThresholdRao: 0n })
const names = { network: 'test', netuid: 1, wallet: 'my-wallet', hotkey: 'validator-1' }
const own = { hotkey: 'hotkey-0', names }
const verdicts = (known: ReturnType<typeof subnet>) =>
  standingFindings(known, own).map(({ verdict, subject }) => `${verdict} ${subject}`)

describe('what the chain lets a validator do', () => {
  it('is all well with a permit, enough stake and a place in the order', () => {
    const known = subnet(neuron(0, 2_000), neuron(1, 3_000))
    expect(verdicts(known)).toEqual(['ok permit', 'ok stake', 'ok place'])
    expect(standingFindings(known, own)[2]?.found).toMatch(
      /^2 of 2 validators by stake: at most 24 \(MAX_VALIDATORS\), of at least 1,000 TAO/,
    )
    expect(standingOf(known.metagraph, 'hotkey-0')).toEqual({
      ...{ registered: true, uid: 0, permit: true, stakeTao: 2_000, rank: 2, validators: 2 },
    })
  })

  it('without a permit the chain takes no weights', () => {
    expect(verdicts(subnet(neuron(0, 2_000, false)))).toEqual(['bad permit', 'ok stake', 'warn place'])
  })

  it('with less stake than miners ask for nobody listens, with less than the chain asks for it takes no weights', () => {
    expect(verdicts(subnet(neuron(0, 999)))).toEqual(['ok permit', 'warn stake'])
    expect(verdicts({ ...subnet(neuron(0, 2_000)), stakeThresholdRao: 3_000n * RAO_PER_TAO })).toEqual([
      ...['ok permit', 'bad stake'],
    ])
  })

  it('one outside the 24 is told so', () => {
    const others = Array.from({ length: 24 }, (_, i) => neuron(i + 1, 5_000))
    const known = subnet(neuron(0, 2_000), ...others)
    expect(verdicts(known)).toEqual(['ok permit', 'ok stake', 'warn place'])
    expect(standingFindings(known, own)[2]?.found).toContain('not among the 24 validators')
    expect(standingOf(known.metagraph, 'hotkey-0')).toMatchObject({ rank: null, validators: 24 })
  })

  describe('advises a whole command for the stake that is missing', () => {
    const keys = '--network test --wallet my-wallet --wallet-hotkey validator-1'
    const advice = (known: ReturnType<typeof subnet>, subject: string) =>
      standingFindings(known, own).find(finding => finding.subject === subject)?.advice
    const stake = (tao: number) => `(btcli stake add --netuid 1 --amount ${tao} ${keys})`

    it('to what miners ask for, and to what the chain asks for', () => {
      expect(advice(subnet(neuron(0, 600)), 'stake')).toContain(stake(400))
      const known = { ...subnet(neuron(0, 2_000)), stakeThresholdRao: 3_000n * RAO_PER_TAO }
      expect(advice(known, 'stake')).toContain(stake(1_000))
    })

    it('to a permit, or to wait when there is enough already', () => {
      const others = [neuron(1, 2_500), neuron(2, 3_000), neuron(3, 9_000, false)]
      expect(advice(subnet(neuron(0, 2_000, false), ...others), 'permit')).toContain(stake(501))
      expect(advice(subnet(neuron(0, 2_600, false), ...others), 'permit')).toMatch(/^wait for the next epoch/)
      expect(advice(subnet(neuron(0, 2_600, false), ...others), 'place')).toMatch(/^get the permit/)
    })

    it('to a place among the 24', () => {
      const others = Array.from({ length: 24 }, (_, i) => neuron(i + 1, 5_000 + i))
      expect(advice(subnet(neuron(0, 2_000), ...others), 'place')).toContain(stake(3_001))
    })
  })

  it('with a version key below the one of the subnet it takes no weights, and that is said first', async () => {
    const look = (weightsVersionKey: bigint) => {
      const known = { ...subnet(neuron(0, 2_000)), weightsVersionKey }
      return standingWatch({ ...own, versionKey: 2 }, () => known).look(new AbortController().signal)
    }
    expect((await look(7n))[0]).toMatchObject({
      verdict: 'bad',
      subject: 'weights version',
      found: expect.stringContaining('the subnet asks for 7, and WEIGHTS_VERSION_KEY is 2'),
      advice: expect.stringContaining('WEIGHTS_VERSION_KEY=7'),
    })
    expect((await look(2n))[0]).toMatchObject({ verdict: 'ok' })
    expect((await look(0n))[0]).toMatchObject({ verdict: 'ok' })
  })

  it('of one that is not registered nothing is said here', () => {
    expect(verdicts(subnet(neuron(1, 5_000)))).toEqual([])
    expect(standingOf(subnet(neuron(1, 5_000)).metagraph, 'hotkey-0')).toMatchObject({ registered: false, rank: null })
  })
})
