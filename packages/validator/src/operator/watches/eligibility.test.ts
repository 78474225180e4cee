import { type Neuron, RAO_PER_TAO } from '@horde/chain/metagraph'
import { describe, expect, it } from 'vitest'
import { eligibilityFindings, eligibilityOf, eligibilityWatch } from './eligibility.ts'

const neuron = (uid: number, stakeTao: number, validatorPermit = true): Neuron => ({
  ...{ uid, hotkey: `hotkey-${uid}`, coldkey: 'cold', stakeRao: BigInt(stakeTao) * RAO_PER_TAO, validatorPermit },
  ...{ lastUpdate: 0, axon: null },
})
const subnet = (...neurons: Neuron[]) => ({ metagraph: { netuid: 1, block: 1, neurons }, stakeThresholdRao: 0n })
const names = { network: 'test', netuid: 1, wallet: 'my-wallet', hotkey: 'validator-1' }
const own = { hotkey: 'hotkey-0', names }
const verdicts = (known: ReturnType<typeof subnet>) =>
  eligibilityFindings(known, own).map(({ verdict, subject }) => `${verdict} ${subject}`)

describe('the eligibility of a validator', () => {
  it('has no problems with a permit, enough stake and a rank', () => {
    const known = subnet(neuron(0, 2_000), neuron(1, 3_000))
    expect(verdicts(known)).toEqual(['ok permit', 'ok stake', 'ok place'])
    expect(eligibilityFindings(known, own)[2]?.found).toMatch(
      /^2 of 2 validators by stake: at most 24 \(MAX_VALIDATORS\), of at least 1,000 TAO/,
    )
    expect(eligibilityOf(known.metagraph, 'hotkey-0')).toEqual({
      ...{ registered: true, uid: 0, permit: true, stakeTao: 2_000, rank: 2, validators: 2 },
    })
  })

  it('is bad without a permit', () => {
    expect(verdicts(subnet(neuron(0, 2_000, false)))).toEqual(['bad permit', 'ok stake', 'warn place'])
  })

  it('warns of too little stake for miners, and is bad with too little for the chain', () => {
    expect(verdicts(subnet(neuron(0, 999)))).toEqual(['ok permit', 'warn stake'])
    expect(verdicts({ ...subnet(neuron(0, 2_000)), stakeThresholdRao: 3_000n * RAO_PER_TAO })).toEqual([
      ...['ok permit', 'bad stake'],
    ])
  })

  it('warns a validator that is not among the 24', () => {
    const others = Array.from({ length: 24 }, (_, i) => neuron(i + 1, 5_000))
    const known = subnet(neuron(0, 2_000), ...others)
    expect(verdicts(known)).toEqual(['ok permit', 'ok stake', 'warn place'])
    expect(eligibilityFindings(known, own)[2]?.found).toContain('not among the 24 validators')
    expect(eligibilityOf(known.metagraph, 'hotkey-0')).toMatchObject({ rank: null, validators: 24 })
  })

  describe('advises a complete command that adds the missing stake', () => {
    const keys = '--network test --wallet my-wallet --wallet-hotkey validator-1'
    const advice = (known: ReturnType<typeof subnet>, subject: string) =>
      eligibilityFindings(known, own).find(finding => finding.subject === subject)?.advice
    const stake = (tao: number) => `(btcli stake add --netuid 1 --amount ${tao} ${keys})`

    it('for what miners require, and for what the chain requires', () => {
      expect(advice(subnet(neuron(0, 600)), 'stake')).toContain(stake(400))
      const known = { ...subnet(neuron(0, 2_000)), stakeThresholdRao: 3_000n * RAO_PER_TAO }
      expect(advice(known, 'stake')).toContain(stake(1_000))
    })

    it('for a permit, or to wait when there is enough stake', () => {
      const others = [neuron(1, 2_500), neuron(2, 3_000), neuron(3, 9_000, false)]
      expect(advice(subnet(neuron(0, 2_000, false), ...others), 'permit')).toContain(stake(501))
      expect(advice(subnet(neuron(0, 2_600, false), ...others), 'permit')).toMatch(/^wait for the next epoch/)
      expect(advice(subnet(neuron(0, 2_600, false), ...others), 'place')).toMatch(/^get the permit/)
    })

    it('for a rank among the 24', () => {
      const others = Array.from({ length: 24 }, (_, i) => neuron(i + 1, 5_000 + i))
      expect(advice(subnet(neuron(0, 2_000), ...others), 'place')).toContain(stake(3_001))
    })
  })

  it('is bad when WEIGHTS_VERSION_KEY is below the version key of the subnet, and reports that first', async () => {
    const look = (weightsVersionKey: bigint) => {
      const known = { ...subnet(neuron(0, 2_000)), weightsVersionKey }
      return eligibilityWatch({ ...own, versionKey: 2 }, () => known).look(new AbortController().signal)
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

  it('reports nothing for a hotkey that is not registered', () => {
    expect(verdicts(subnet(neuron(1, 5_000)))).toEqual([])
    expect(eligibilityOf(subnet(neuron(1, 5_000)).metagraph, 'hotkey-0')).toMatchObject({
      registered: false,
      rank: null,
    })
  })
})
