/** What a neuron's owner does with Bittensor's btcli, version 11: whole commands, which name the network and the keys. */
import type { SettingsOf } from '@horde/kit/config'
import { networkName } from '../endpoints.ts'
import type { neuronSettings } from '../settings.ts'
import { type Options, options } from './options.ts'

/**
 * Whom and what the commands are about, by the names of the settings in force. btcli takes `finney` and `default` for what
 * is left out, so an owner on another network would pay for the wrong registration.
 */
export type NeuronNames = { network: string; netuid: number; wallet: string; hotkey: string }

type NamingSettings = Pick<
  SettingsOf<typeof neuronSettings>,
  'BITTENSOR_NETUID' | 'BITTENSOR_NETWORK' | 'BITTENSOR_WALLET_NAME' | 'BITTENSOR_WALLET_HOTKEY_NAME'
>

export function neuronNames(settings: NamingSettings): NeuronNames {
  return {
    network: networkName(settings.BITTENSOR_NETWORK),
    netuid: settings.BITTENSOR_NETUID,
    wallet: settings.BITTENSOR_WALLET_NAME,
    hotkey: settings.BITTENSOR_WALLET_HOTKEY_NAME,
  }
}

/** Pays for a place on the subnet. Signed by the coldkey. */
export function registerCommand(names: NeuronNames): string {
  return command('subnets register', names)
}

/** Buys stake for the hotkey. Signed by the coldkey. @param tao at least; it is rounded up to whole TAO */
export function stakeCommand(names: NeuronNames, tao: number): string {
  return command('stake add', names, { amount: Math.max(1, Math.ceil(tao)) })
}

/** Announces an address. Signed by the hotkey. */
export function serveAxonCommand(names: NeuronNames, ip: string, port: number): string {
  return command('tx serve-axon', names, { ip, port })
}

function command(verb: string, { network, netuid, wallet, hotkey }: NeuronNames, more: Options = {}): string {
  return `btcli ${verb} ${options({ netuid, ...more, network, wallet, 'wallet-hotkey': hotkey })}`
}
