/** Commands of Bittensor's btcli, version 11, that the owner of a neuron or wallet can paste into a shell. */
import { basename, dirname } from 'node:path'
import { networkName } from '../endpoints.ts'

/**
 * The network, subnet and keys that a command is for. Every command names them all: btcli would otherwise use `finney`
 * and `default`, and an owner on another network would pay for the wrong registration.
 */
export type NeuronNames = { network: string; netuid: number; wallet: string; hotkey: string }

type NamingSettings = {
  readonly BITTENSOR_NETUID: number
  readonly BITTENSOR_NETWORK: readonly string[]
  readonly BITTENSOR_WALLET_NAME: string
  readonly BITTENSOR_WALLET_HOTKEY_NAME: string
}

/** Returns the names that a service's settings give. */
export function neuronNames(settings: NamingSettings): NeuronNames {
  return {
    network: networkName(settings.BITTENSOR_NETWORK),
    netuid: settings.BITTENSOR_NETUID,
    wallet: settings.BITTENSOR_WALLET_NAME,
    hotkey: settings.BITTENSOR_WALLET_HOTKEY_NAME,
  }
}

/** Returns the command that registers the hotkey on the subnet. The coldkey signs and pays. */
export function registerCommand(names: NeuronNames): string {
  return neuronCommand('subnets register', names)
}

/** Returns the command that buys stake for the hotkey. The coldkey signs. @param tao the least amount; rounded up */
export function stakeCommand(names: NeuronNames, tao: number): string {
  return neuronCommand('stake add', names, { amount: Math.max(1, Math.ceil(tao)) })
}

/** Returns the command that announces an address. The hotkey signs. */
export function serveAxonCommand(names: NeuronNames, ip: string, port: number): string {
  return neuronCommand('tx serve-axon', names, { ip, port })
}

/** Advises to write a hotkey file again from the key's mnemonic. */
export function regenerateHotkeyAdvice(hotkeyFile: string): string {
  const command = `btcli wallet regen-hotkey ${hotkeyOptions(hotkeyFile)} --overwrite`
  return `write the file again from the hotkey's mnemonic, which this command asks for: ${command}`
}

/** Advises to replace a hotkey by a new one. */
export function replaceHotkeyAdvice(hotkeyFile: string): string {
  const command = `btcli wallet new-hotkey ${hotkeyOptions(hotkeyFile)} --crypto-type sr25519 --overwrite`
  return `make a new hotkey and register it: ${command}`
}

/** Advises to name the right hotkey file, or to make one. */
export function createHotkeyAdvice(hotkeyFile: string): string {
  const settings = 'BITTENSOR_WALLET_DIRECTORY, BITTENSOR_WALLET_NAME and BITTENSOR_WALLET_HOTKEY_NAME'
  const command = `btcli wallet new-hotkey ${hotkeyOptions(hotkeyFile)}`
  return `name the right one by ${settings}, or make it: ${command}`
}

/** Advises to write a coldkey's address file again. */
export function regenerateColdkeyPubAdvice(file: string): string {
  const wallet = dirname(file)
  const names = optionText({ 'wallet-path': dirname(wallet), wallet: basename(wallet) })
  return `write the file again: btcli wallet regen-coldkeypub ${names} --overwrite`
}

function neuronCommand(verb: string, { network, netuid, wallet, hotkey }: NeuronNames, more: Options = {}): string {
  return `btcli ${verb} ${optionText({ netuid, ...more, network, wallet, 'wallet-hotkey': hotkey })}`
}

/** Returns btcli's options that name a hotkey by its file. */
function hotkeyOptions(hotkeyFile: string): string {
  const wallet = dirname(dirname(hotkeyFile))
  return optionText({ 'wallet-path': dirname(wallet), wallet: basename(wallet), 'wallet-hotkey': basename(hotkeyFile) })
}

type Options = Readonly<Record<string, string | number>>

/** Formats options for a command line: `--name value`, quoted for a shell where needed. */
function optionText(values: Options): string {
  return Object.entries(values)
    .map(([name, value]) => `--${name} ${shellQuoted(String(value))}`)
    .join(' ')
}

function shellQuoted(text: string): string {
  return /^[\w./~:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
