import { SS58_PREFIX } from '../../table/version.ts'
import { type Method, method, nothing } from '../method.ts'

const DECIMALS = 9

const says = (answer: unknown): Method => method(nothing, () => answer)

export const systemMethods: Record<string, Method> = {
  system_name: says('Subtensor devchain'),
  system_version: says('0.1.0'),
  system_chain: says('Development'),
  system_chainType: says('Development'),
  system_properties: says({ isEthereum: false, ss58Format: SS58_PREFIX, tokenDecimals: DECIMALS, tokenSymbol: 'TAO' }),
  system_health: says({ peers: 0, isSyncing: false, shouldHavePeers: false }),
  system_peers: says([]),
  system_nodeRoles: says(['Authority']),
  system_localListenAddresses: says([]),
  system_syncState: method(nothing, ({ chain }) => {
    const { number } = chain.head.header
    return { startingBlock: 0, currentBlock: number, highestBlock: number }
  }),
}
