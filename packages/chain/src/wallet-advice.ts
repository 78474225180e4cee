/** What the owner of a wallet can do about a file of it: commands of Bittensor's btcli, version 11. */
import { basename, dirname } from 'node:path'
import { options } from './btcli/options.ts'

/** btcli's options that name a hotkey; it takes `default` for what is left out. */
function optionsFor(hotkeyFile: string): string {
  const wallet = dirname(dirname(hotkeyFile))
  return options({ 'wallet-path': dirname(wallet), wallet: basename(wallet), 'wallet-hotkey': basename(hotkeyFile) })
}

/** The same key, from its mnemonic or seed. */
export function regenerate(hotkeyFile: string): string {
  return `write the file anew from the hotkey's mnemonic, which this asks for: btcli wallet regen-hotkey ${optionsFor(hotkeyFile)} --overwrite`
}

/** Another key, which must then be registered. */
export function makeNew(hotkeyFile: string): string {
  return `make a new hotkey and register it: btcli wallet new-hotkey ${optionsFor(hotkeyFile)} --crypto-type sr25519 --overwrite`
}

/** A hotkey where there is none. */
export function create(hotkeyFile: string): string {
  return `name the right one by BITTENSOR_WALLET_DIRECTORY, BITTENSOR_WALLET_NAME and BITTENSOR_WALLET_HOTKEY_NAME, or make it: btcli wallet new-hotkey ${optionsFor(hotkeyFile)}`
}

/** An address file of a coldkey. */
export function regenerateAddress(file: string): string {
  const wallet = dirname(file)
  const names = options({ 'wallet-path': dirname(wallet), wallet: basename(wallet) })
  return `write the file anew: btcli wallet regen-coldkeypub ${names} --overwrite`
}
