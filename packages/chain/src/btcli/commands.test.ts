import { describe, expect, it } from 'vitest'
import { endpointsOf } from '../endpoints.ts'
import { neuronNames, registerCommand, serveAxonCommand, stakeCommand } from './commands.ts'

const settings = (network: string, wallet = 'my-wallet', hotkey = 'miner-1') => ({
  ...{ BITTENSOR_NETUID: 12, BITTENSOR_NETWORK: endpointsOf(network), BITTENSOR_WALLET_DIRECTORY: '/wallets' },
  ...{ BITTENSOR_WALLET_NAME: wallet, BITTENSOR_WALLET_HOTKEY_NAME: hotkey },
})

describe('btcli commands', () => {
  it('name the network, the subnet, the wallet and the hotkey of the settings', () => {
    const names = neuronNames(settings('test'))
    const keys = '--network test --wallet my-wallet --wallet-hotkey miner-1'
    expect(registerCommand(names)).toBe(`btcli subnets register --netuid 12 ${keys}`)
    expect(serveAxonCommand(names, '203.0.113.7', 8000)).toBe(
      `btcli tx serve-axon --netuid 12 --ip 203.0.113.7 --port 8000 ${keys}`,
    )
    expect(serveAxonCommand(names, '2001:db8::7', 8000)).toContain('--ip 2001:db8::7 --port 8000 ')
  })

  it.each([
    ['finney', 'finney'],
    ['local', 'local'],
    ['ws://127.0.0.1:9944', 'local'],
    ['wss://test.finney.opentensor.ai:443', 'test'],
    ['archive', 'wss://archive.chain.opentensor.ai:443'],
    ['node-1:9944,finney', 'ws://node-1:9944'],
    ['ws://[::1]:9944', "'ws://[::1]:9944'"],
  ])('name the network by btcli’s name, or its first node: %s', (network, named) => {
    expect(registerCommand(neuronNames(settings(network)))).toContain(` --network ${named} `)
  })

  it('stake at least the missing amount in whole TAO, and at least one', () => {
    const names = neuronNames(settings('finney'))
    expect(stakeCommand(names, 400.001)).toContain(' --amount 401 ')
    expect(stakeCommand(names, 0.2)).toContain(' --amount 1 ')
  })

  it('quote names that are not safe in a shell', () => {
    const names = neuronNames(settings('finney', 'my wallet', "miner'1"))
    expect(registerCommand(names)).toContain(` --wallet 'my wallet' --wallet-hotkey 'miner'\\''1'`)
  })
})
