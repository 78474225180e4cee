import type { Devchain } from '@horde/devchain/devchain'
import { ApiPromise, WsProvider } from '@polkadot/api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Subtensor } from '../src/subtensor.ts'
import { bob, charlie, connectTo, NETUID, startNetwork, unregistered } from './network.ts'

/** A subnet whose epoch does not end during this test. */
const LONG = 2

let devchain: Devchain
let chain: Subtensor
beforeAll(async () => {
  devchain = await startNetwork({ subnets: [{}, { netuid: LONG, tempo: 360 }] })
  chain = await connectTo([devchain.url])
})
afterAll(async () => {
  await chain[Symbol.asyncDispose]()
  await devchain[Symbol.asyncDispose]()
})

describe('commitments', () => {
  it('are texts, and the last one counts', async () => {
    expect(await chain.commitment(NETUID, bob.ss58)).toBeNull()
    for (const text of ['é <M:A3>', 'x'.repeat(128), '']) {
      const { block } = await chain.setCommitment(NETUID, text, bob)
      expect(block).toBe(devchain.blockNumber())
      expect(await chain.commitment(NETUID, bob.ss58)).toEqual({ text, block })
    }
  })

  it('throw an error for each refusal', async () => {
    await expect(chain.setCommitment(NETUID, 'x'.repeat(129), bob)).rejects.toMatchObject({ code: 'TooLong' })
    await expect(chain.setCommitment(NETUID, 'x', unregistered)).rejects.toMatchObject({ code: 'NotRegistered' })
    const many = Array.from({ length: 32 }, (_, i) => `text ${i}`)
    const send = async () => {
      for (const text of many) await chain.setCommitment(LONG, text, charlie)
    }
    await expect(send()).rejects.toMatchObject({ code: 'CommittingTooFast', retryable: true })
  })

  it('have no text when another program has committed something else', async () => {
    const api = await ApiPromise.create({ provider: new WsProvider(devchain.url) as never, noInitWarn: true })
    const send = async (fields: object[]) => {
      const { commitments } = api.tx
      await commitments?.setCommitment?.(NETUID, { fields }).signAndSend(bob.pair)
      await expect.poll(async () => (await chain.commitment(NETUID, bob.ss58))?.block).toBe(devchain.blockNumber())
      return chain.commitment(NETUID, bob.ss58)
    }
    expect(await send([{ Sha256: `0x${'22'.repeat(32)}` }])).toMatchObject({ text: null })
    expect(await send([{ Raw1: '0x41' }, { Raw1: '0x42' }])).toMatchObject({ text: null })
    expect(await send([{ Raw2: '0xff41' }])).toMatchObject({ text: null })
    await api.disconnect()
  })
})
