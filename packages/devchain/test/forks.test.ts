import { describe, expect, test } from 'vitest'
import { genesis, type Net, startNet, stranger, sudo } from './client.ts'

const TAO = 1_000_000_000

/** Sends a transfer and records the statuses that its watcher gets. */
async function transfer(net: Net, statuses: string[]): Promise<void> {
  const call = net.call('balances.transferKeepAlive', stranger.address, TAO)
  await call.signAndSend(sudo, ({ status }) => void statuses.push(status.type))
}

describe('a chain with delayed finality', () => {
  const start = () => startNet(genesis(), { finalityLag: 2 })
  const finalNumber = async (net: Net) => {
    const hash = await net.provider.send<string>('chain_getFinalizedHead', [])
    return Number((await net.provider.send<{ number: string }>('chain_getHeader', [hash])).number)
  }
  const balance = async (net: Net) => {
    const { data } = (await net.read('system.account', stranger.address)) as { data: { free: string | number } }
    return Number(data.free)
  }

  test('reports final blocks, and an extrinsic when its block is final', async () => {
    await using net = await start()
    const statuses: string[] = []
    await transfer(net, statuses)
    await expect.poll(() => statuses.at(-1)).toBe('InBlock')
    expect(await finalNumber(net)).toBe(0)
    await net.mine(1)
    expect(statuses).not.toContain('Finalized')
    await net.mine(1)
    await expect.poll(() => statuses.at(-1)).toBe('Finalized')
    expect(await finalNumber(net)).toBe(net.chain.blockNumber() - 2)
  })

  test('replaces blocks that are not final and includes their extrinsics in other blocks', async () => {
    await using net = await start()
    const statuses: string[] = []
    const before = await balance(net)
    await transfer(net, statuses)
    await expect.poll(() => statuses.at(-1)).toBe('InBlock')
    const [number, hash] = [net.chain.blockNumber(), net.chain.headHash()]
    await net.chain.replaceBlocks(1, 'again')
    expect(net.chain.blockNumber()).toBe(number + 1)
    expect(await net.provider.send('chain_getBlockHash', [number])).not.toBe(hash)
    await expect.poll(() => statuses.slice(-2)).toEqual(['Retracted', 'InBlock'])
    expect(await balance(net)).toBe(before + TAO)
    await net.mine(2)
    await expect.poll(() => statuses.at(-1)).toBe('Finalized')
  })

  test('replaces blocks without their extrinsics and undoes their changes', async () => {
    await using net = await start()
    const statuses: string[] = []
    const before = await balance(net)
    await transfer(net, statuses)
    await expect.poll(() => statuses.at(-1)).toBe('InBlock')
    await net.chain.replaceBlocks(1, 'lost')
    expect([await balance(net), net.chain.waiting()]).toEqual([before, 0])
    await transfer(net, statuses)
    await expect.poll(() => statuses.filter(each => each === 'InBlock')).toHaveLength(2)
  })

  test('never replaces a final block', async () => {
    await using net = await start()
    await net.mine(5)
    await expect(net.chain.replaceBlocks(3, 'lost')).rejects.toThrow('final')
    await net.chain.replaceBlocks(2, 'lost')
    expect(net.chain.blockNumber()).toBe(6)
    await using plain = await startNet()
    await plain.mine(1)
    await expect(plain.chain.replaceBlocks(1, 'lost')).rejects.toThrow('final')
  })
})
