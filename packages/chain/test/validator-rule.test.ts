import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RAO_PER_TAO, validatorsOf } from '../src/metagraph.ts'
import { rankValidators } from '../src/rank-validators.ts'
import { connectTo, crowd, EASY, NETUID, startNetwork } from './network.ts'
import { type Relay, startRelay } from './relay.ts'

/** 40 neurons of 0 to 39 TAO: 30 of them have 10 TAO or more. */
const neurons = crowd(40)
const settings = { max: 3, minStakeRao: 38n * RAO_PER_TAO }

let stack: AsyncDisposableStack
let relay: Relay
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  const hyperparameters = { ...EASY, MaxAllowedValidators: 64 }
  const devchain = stack.use(await startNetwork({ stakeThreshold: 10, subnets: [{ hyperparameters, neurons }] }))
  relay = stack.use(await startRelay(devchain.url))
})
afterEach(() => stack.disposeAsync())

/** Renames storage items in the node's metadata, so that the client does not find them. */
function withoutItem(...names: readonly string[]): void {
  const hex = (text: string) => Buffer.from(text).toString('hex')
  relay.faults.toClient = frame => {
    let text = JSON.stringify(frame)
    for (const name of names) text = text.replaceAll(hex(name), hex(`${name.slice(0, -1)}_`))
    return JSON.parse(text)
  }
}

describe('the validator rule', () => {
  it('comes from the chain: MaxAllowedValidators and StakeThreshold', async () => {
    await using chain = await connectTo([relay.url], { validatorRule: settings })
    const metagraph = await chain.metagraph(NETUID)
    expect(metagraph.validatorRule).toEqual({
      ...{ max: 64, minStakeRao: 10n * RAO_PER_TAO, fromChain: { max: true, minStake: true } },
    })
    expect(validatorsOf(metagraph).map(({ uid }) => uid)).toEqual(Array.from({ length: 30 }, (_, i) => 39 - i))
    expect(rankValidators(metagraph, { extra: [], banned: [] })).toHaveLength(30)
  })

  it('takes from the settings only the value that the chain lacks', async () => {
    withoutItem('MaxAllowedValidators')
    await using chain = await connectTo([relay.url], { validatorRule: settings })
    const metagraph = await chain.metagraph(NETUID)
    expect(metagraph.validatorRule).toEqual({
      ...{ max: 3, minStakeRao: 10n * RAO_PER_TAO, fromChain: { max: false, minStake: true } },
    })
    expect(validatorsOf(metagraph).map(({ uid }) => uid)).toEqual([39, 38, 37])
  })

  it('is the default if neither the chain nor the settings have one', async () => {
    withoutItem('MaxAllowedValidators', 'StakeThreshold')
    await using chain = await connectTo([relay.url])
    const metagraph = await chain.metagraph(NETUID)
    expect(metagraph.validatorRule).toEqual({
      ...{ max: 24, minStakeRao: 1_000n * RAO_PER_TAO, fromChain: { max: false, minStake: false } },
    })
    expect(validatorsOf(metagraph)).toEqual([])
  })
})
