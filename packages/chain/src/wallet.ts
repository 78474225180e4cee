import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { KeyringPair } from '@polkadot/keyring/types'
import { WalletError } from './errors.ts'
import { addressOfKeyfile, keyfileText, pairOfKeyfile, SS58_PREFIX, sr25519Keyring } from './keyfile.ts'
import {
  cryptoWaitReady,
  decodeAddress,
  hexToU8a,
  keyExtractSuri,
  keyFromPath,
  mnemonicToMiniSecret,
  sr25519PairFromSeed,
  sr25519Verify,
  u8aToHex,
  u8aWrapBytes,
} from './polkadot/crypto.ts'
import { create } from './wallet-advice.ts'

/** A key that signs for a neuron. */
export type Hotkey = {
  /** The address, prefix 42. */
  readonly ss58: string
  readonly publicKey: Uint8Array
  /** The 64 bytes of an sr25519 signature. */
  sign(bytes: Uint8Array): Uint8Array
  /** For @polkadot/api, which signs extrinsics with it. */
  readonly pair: KeyringPair
}

/** Where Bittensor's tools keep wallets; every part has their default. */
export type WalletPlace = {
  /** Default `~/.bittensor/wallets`; a leading `~` is the home folder. */
  readonly directory?: string | undefined
  /** The wallet; default "default". */
  readonly name?: string | undefined
  /** The hotkey of the wallet; default "default". */
  readonly hotkey?: string | undefined
}

const DEFAULT_DIRECTORY = '~/.bittensor/wallets'
const DEFAULT_NAME = 'default'

/** Key files are for their owner alone. */
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

/** The phrase of the well-known development keys, //Alice and the others. */
const DEVELOPMENT_PHRASE = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk'

/** Resolves once the cryptographic code is loaded; the functions here do without, only faster afterwards. */
export async function cryptoReady(): Promise<void> {
  await cryptoWaitReady()
}

/**
 * Reads a plain Bittensor hotkey file.
 * @throws WalletError naming the file and the remedy when it is missing, encrypted, broken or without a secret
 */
export async function readHotkey(place: WalletPlace = {}): Promise<Hotkey> {
  const file = hotkeyFile(place)
  return hotkeyOf(pairOfKeyfile(file, await readKeyfile(file)))
}

/**
 * The address of a wallet's coldkey, from its coldkeypub.txt.
 * @throws WalletError as `readHotkey` does
 */
export async function readColdkeyPub(place: WalletPlace = {}): Promise<string> {
  const file = coldkeyPubFile(place)
  return addressOfKeyfile(file, await readKeyfile(file))
}

/**
 * The key of a secret URI: `//Alice`, a mnemonic or a 0x seed, with derivations behind it.
 * For development and tests: a real hotkey lives in a file.
 */
export const hotkeyFromUri = (uri: string): Hotkey => hotkeyOf(sr25519Keyring().addFromPair(secretFromUri(uri)))

/** Writes the plain hotkey file of a secret URI, with its folders, and returns its path. For local networks. */
export async function writeHotkeyFile(place: WalletPlace, uri: string): Promise<string> {
  return writeKeyfile(hotkeyFile(place), keyfileText(secretFromUri(uri)))
}

/** Writes coldkeypub.txt for an address, and returns its path. For local networks. */
export async function writeColdkeyPub(place: WalletPlace, ss58Address: string): Promise<string> {
  const publicKey = u8aToHex(decodeAddress(ss58Address, false, SS58_PREFIX))
  return writeKeyfile(coldkeyPubFile(place), JSON.stringify({ accountId: publicKey, publicKey, ss58Address }))
}

/**
 * Whether `signature` is the sr25519 signature of `bytes`, plain or wrapped in `<Bytes>` as browser wallets do, by the
 * key of an address. Only sr25519, only exactly 0x and 128 hex digits, only addresses of prefix 42; anything else is
 * false, nothing throws.
 */
export function verifySignature(ss58: string, bytes: Uint8Array, signature: string): boolean {
  if (typeof signature !== 'string' || !/^0x[0-9a-fA-F]{128}$/.test(signature)) return false
  const publicKey = publicKeyOf(ss58)
  if (!publicKey) return false
  const raw = hexToU8a(signature)
  return verifies(bytes, raw, publicKey) || verifies(u8aWrapBytes(bytes), raw, publicKey)
}

/** Whether a text is an address (SS58, prefix 42). */
export const isAddress = (text: string): boolean => publicKeyOf(text) !== undefined

/** The 32 bytes of an address (SS58, prefix 42); undefined when it is none. */
export function publicKeyOf(ss58: string): Uint8Array | undefined {
  try {
    // The library would also take a public key in hex, which is no address.
    return ss58.startsWith('0x') ? undefined : decodeAddress(ss58, false, SS58_PREFIX)
  } catch {
    return undefined
  }
}

/** The address (SS58, prefix 42) of a public key. */
export const addressOf = (publicKey: Uint8Array): string => sr25519Keyring().encodeAddress(publicKey)

function verifies(bytes: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return sr25519Verify(bytes, signature, publicKey)
  } catch {
    return false
  }
}

function hotkeyOf(pair: KeyringPair): Hotkey {
  return { ss58: pair.address, publicKey: pair.publicKey, sign: bytes => pair.sign(bytes), pair }
}

function secretFromUri(uri: string): { publicKey: Uint8Array; secretKey: Uint8Array } {
  const { phrase, path, password } = keyExtractSuri(uri.startsWith('//') ? `${DEVELOPMENT_PHRASE}${uri}` : uri)
  const seed = phrase.startsWith('0x') ? hexToU8a(phrase) : mnemonicToMiniSecret(phrase, password)
  return keyFromPath(sr25519PairFromSeed(seed), path, 'sr25519')
}

const walletFolder = ({ directory, name }: WalletPlace): string =>
  join(expandHome(directory || DEFAULT_DIRECTORY), name || DEFAULT_NAME)
const hotkeyFile = (place: WalletPlace): string => join(walletFolder(place), 'hotkeys', place.hotkey || DEFAULT_NAME)
const coldkeyPubFile = (place: WalletPlace): string => join(walletFolder(place), 'coldkeypub.txt')

const expandHome = (path: string): string => (/^~(\/|$)/.test(path) ? join(homedir(), path.slice(1)) : path)

async function readKeyfile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') throw new WalletError(file, 'does not exist', create(file))
    if (code === 'EACCES') throw new WalletError(file, 'may not be read by this user', `chown "$(id -un)" ${file}`)
    throw new WalletError(file, `can not be read (${String(code)})`, create(file))
  }
}

async function writeKeyfile(file: string, text: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true, mode: FOLDER_MODE })
  // Beside it and renamed: the mode of a file that is there already would stay as it is.
  const fresh = `${file}.${randomUUID()}`
  await writeFile(fresh, text, { mode: FILE_MODE, flag: 'wx' })
  await rename(fresh, file)
  return file
}
