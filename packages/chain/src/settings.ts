/**
 * The settings that miner and validator share: subnet, chain and wallet. Their names are those of Bittensor's tools.
 */
import { ConfigError, defineSettings, envInteger, envNumber, type SettingsOf, setting } from '@horde/kit/config'
import { z } from 'zod'
import { endpointsOf } from './endpoints.ts'
import { WalletError } from './errors.ts'
import { DEFAULT_VALIDATOR_RULE, RAO_PER_TAO, type ValidatorRule } from './metagraph.ts'
import { type Hotkey, readHotkey } from './wallet.ts'

const MAX_NETUID = 65_535
const MAX_NEURONS = 65_535
/** The total supply of TAO. */
const MAX_TAO = 21_000_000
const DEFAULT_MIN_TAO = Number(DEFAULT_VALIDATOR_RULE.minStakeRao / RAO_PER_TAO)

const endpoints = z.string().transform((text, context) => {
  try {
    return endpointsOf(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'is not a network' })
    return z.NEVER
  }
})

/** The settings of a service that is a neuron. */
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
  MAX_VALIDATORS: setting(envInteger({ min: 1, max: MAX_NEURONS }).default(DEFAULT_VALIDATOR_RULE.max), {
    about:
      'How many hotkeys with the most stake count as validators. Used only if the chain has no MaxAllowedValidators.',
    example: '24',
  }),
  MIN_VALIDATOR_STAKE_TAO: setting(envNumber({ min: 0, max: MAX_TAO }).default(DEFAULT_MIN_TAO), {
    about: 'The least stake of a validator, in TAO. Used only if the chain has no StakeThreshold.',
    example: '1000',
  }),
})

/** Returns the validator rule of the settings, which applies where the chain has none. */
export function validatorRuleOf(settings: SettingsOf<typeof neuronSettings>): ValidatorRule {
  const { MAX_VALIDATORS: max, MIN_VALIDATOR_STAKE_TAO: minStakeTao } = settings
  return { max, minStakeRao: BigInt(Math.round(minStakeTao * Number(RAO_PER_TAO))) }
}

/**
 * Reads the hotkey that the settings name.
 * @throws ConfigError when the key file cannot be used
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
