/** The settings of every service that is a neuron: its subnet, its chain, its wallet. Named as Bittensor's world does. */
import { ConfigError, defineSettings, envInteger, type SettingsOf, setting } from '@horde/kit/config'
import { z } from 'zod'
import { endpointsOf } from './endpoints.ts'
import { WalletError } from './errors.ts'
import { type Hotkey, readHotkey } from './wallet.ts'

const MAX_NETUID = 65_535

const endpoints = z.string().transform((text, context) => {
  try {
    return endpointsOf(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'is not a network' })
    return z.NEVER
  }
})

export const neuronSettings = defineSettings({
  BITTENSOR_NETUID: setting(envInteger({ min: 0, max: MAX_NETUID }), {
    about: 'The subnet on which this service is registered.',
    example: '12',
  }),
  BITTENSOR_NETWORK: setting(endpoints, {
    about: 'The chain: finney, test, local, host:port or a URL; several separated by commas.',
    example: 'finney',
  }),
  BITTENSOR_WALLET_DIRECTORY: setting(z.string().default('~/.bittensor/wallets'), {
    about: 'The folder that holds the wallets.',
    example: '~/.bittensor/wallets',
  }),
  BITTENSOR_WALLET_NAME: setting(z.string().default('default'), {
    about: 'The wallet: a folder in the wallet directory.',
    example: 'default',
  }),
  BITTENSOR_WALLET_HOTKEY_NAME: setting(z.string().default('default'), {
    about: "The hotkey: a file in the wallet's hotkeys folder.",
    example: 'default',
  }),
})

/**
 * The hotkey that the settings name.
 *
 * @throws ConfigError when it cannot be used: such a wallet is a wrong setting
 */
export async function ownHotkey(settings: SettingsOf<typeof neuronSettings>): Promise<Hotkey> {
  const { BITTENSOR_WALLET_DIRECTORY: directory, BITTENSOR_WALLET_NAME: name } = settings
  try {
    return await readHotkey({ directory, name, hotkey: settings.BITTENSOR_WALLET_HOTKEY_NAME })
  } catch (error) {
    if (!(error instanceof WalletError)) throw error
    const { problem, advice } = error
    throw new ConfigError([{ name: 'BITTENSOR_WALLET_HOTKEY_NAME', problem, advice }], neuronSettings)
  }
}
