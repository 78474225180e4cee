import { SS58_PREFIX } from '../../table/version.ts'
import { type Method, method, nothing } from '../method.ts'

const DECIMALS = 9

const constant = (answer: unknown): Method => method(nothing, () => answer)

export const systemMethods: Record<string, Method> = {
  system_name: constant('Subtensor devchain'),
  system_version: constant('0.1.0'),
  system_chain: constant('Development'),
  system_chainType: constant('Development'),
  system_properties: constant({
    isEthereum: false,
    ss58Format: SS58_PREFIX,
    tokenDecimals: DECIMALS,
    tokenSymbol: 'TAO',
  }),
  system_health: constant({ peers: 0, isSyncing: false, shouldHavePeers: false }),
  system_peers: constant([]),
  system_nodeRoles: constant(['Authority']),
  system_localListenAddresses: constant([]),
  system_syncState: method(nothing, ({ chain }) => {
    const { number } = chain.head.header
    return { startingBlock: 0, currentBlock: number, highestBlock: number }
  }),
}
