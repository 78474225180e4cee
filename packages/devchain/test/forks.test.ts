import { describe, expect, test } from 'vitest'
import { genesis, type Net, startNet, stranger, sudo } from './client.ts'

const TAO = 1_000_000_000

/** Sends a transfer and notes what its watcher is told. */
async function transfer(net: Net, told: string[]): Promise<void> {
  const call = net.call('balances.transferKeepAlive', stranger.address, TAO)
  await call.signAndSend(sudo, ({ status }) => void told.push(status.type))
}

describe('a chain whose blocks are final later', () => {
  const start = () => startNet(genesis(), { finalityLag: 2 })
  const finalNumber = async (net: Net) => {
    const hash = await net.provider.send<string>('chain_getFinalizedHead', [])
    return Number((await net.provider.send<{ number: string }>('chain_getHeader', [hash])).number)
  }
  const balance = async (net: Net) => {
    const { data } = (await net.read('system.account', stranger.address)) as { data: { free: string | number } }
    return Number(data.free)
  }

  test('says which is final, and tells of an extrinsic when its block is', async () => {
    await using net = await start()
    const told: string[] = []
    await transfer(net, told)
    await expect.poll(() => told.at(-1)).toBe('InBlock')
    expect(await finalNumber(net)).toBe(0)
    await net.mine(1)
    expect(told).not.toContain('Finalized')
    await net.mine(1)
    await expect.poll(() => told.at(-1)).toBe('Finalized')
    expect(await finalNumber(net)).toBe(net.chain.blockNumber() - 2)
  })

  test('replaces blocks that are not: an extrinsic is in another block then', async () => {
    await using net = await start()
    const told: string[] = []
    const before = await balance(net)
    await transfer(net, told)
    await expect.poll(() => told.at(-1)).toBe('InBlock')
    const [number, hash] = [net.chain.blockNumber(), net.chain.headHash()]
    await net.chain.replaceBlocks(1, 'again')
    expect(net.chain.blockNumber()).toBe(number + 1)
    expect(await net.provider.send('chain_getBlockHash', [number])).not.toBe(hash)
    await expect.poll(() => told.slice(-2)).toEqual(['Retracted', 'InBlock'])
    expect(await balance(net)).toBe(before + TAO)
    await net.mine(2)
    await expect.poll(() => told.at(-1)).toBe('Finalized')
  })

  test('or in none, and nothing of what it did is left', async () => {
    await using net = await start()
    const told: string[] = []
    const before = await balance(net)
    await transfer(net, told)
    await expect.poll(() => told.at(-1)).toBe('InBlock')
    await net.chain.replaceBlocks(1, 'lost')
    expect([await balance(net), net.chain.waiting()]).toEqual([before, 0])
    await transfer(net, told)
    await expect.poll(() => told.filter(each => each === 'InBlock')).toHaveLength(2)
  })

  test('never replaces a final one', async () => {
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
