import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { KeyringPair } from '@polkadot/keyring/types'
import { createHotkeyAdvice } from './btcli/commands.ts'
import { WalletError } from './errors.ts'
import {
  cryptoWaitReady,
  decodeAddress,
  hexToU8a,
  keyExtractSuri,
  keyFromPath,
  mnemonicToMiniSecret,
  sr25519PairFromSeed,
  u8aToHex,
  u8aWrapBytes,
} from './polkadot/crypto.ts'
import { addressOfKeyfile, keyfileText, keyOfKeyfile, SS58_PREFIX, sr25519Keyring } from './wallet/keyfile.ts'
import { type KeyBytes, sign, verifies } from './wallet/sr25519.ts'

/** The key that signs for a neuron. */
export type Hotkey = {
  /** Its address (SS58, prefix 42). */
  readonly ss58: string
  readonly publicKey: Uint8Array
  /** Returns the sr25519 signature: 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array
  /** For @polkadot/api, to sign extrinsics. */
  readonly pair: KeyringPair
}

/** Where a wallet's files are. Each part defaults to that of Bittensor's tools. */
export type WalletLocation = {
  /** Default `~/.bittensor/wallets`; a leading `~` is the home folder. */
  readonly directory?: string | undefined
  /** The wallet; default "default". */
  readonly name?: string | undefined
  /** The hotkey of the wallet; default "default". */
  readonly hotkey?: string | undefined
}

const DEFAULT_DIRECTORY = '~/.bittensor/wallets'
const DEFAULT_NAME = 'default'

/** Only the owner may read key files. */
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

/** The mnemonic of the well-known development keys: //Alice, //Bob and so on. */
const DEVELOPMENT_PHRASE = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk'
let developmentSeed: Uint8Array | undefined

/** Loads the WebAssembly cryptography. The functions of this file also work without it, but more slowly. */
export async function cryptoReady(): Promise<void> {
  await cryptoWaitReady()
}

/**
 * Reads an unencrypted Bittensor hotkey file.
 * @throws WalletError when it is missing, unreadable, encrypted, damaged or without a secret
 */
export async function readHotkey(location: WalletLocation = {}): Promise<Hotkey> {
  const file = hotkeyFile(location)
  return hotkeyOf(keyOfKeyfile(file, await readKeyfile(file)))
}

/**
 * Reads the address of a wallet's coldkey from its coldkeypub.txt.
 * @throws WalletError when the file is missing, unreadable, damaged or without a valid address
 */
export async function readColdkeyPub(location: WalletLocation = {}): Promise<string> {
  const file = coldkeyPubFile(location)
  return addressOfKeyfile(file, await readKeyfile(file))
}

/**
 * Returns the key of a secret URI: `//Alice`, a mnemonic or a 0x seed, with optional derivations.
 * For development and tests only: a real hotkey is read from a file.
 */
export const hotkeyFromUri = (uri: string): Hotkey => hotkeyOf(secretFromUri(uri))

/** Writes an unencrypted hotkey file for a secret URI and returns its path. For local networks only. */
export async function writeHotkeyFile(location: WalletLocation, uri: string): Promise<string> {
  return writeKeyfile(hotkeyFile(location), keyfileText(secretFromUri(uri)))
}

/** Writes coldkeypub.txt for an address and returns its path. For local networks only. */
export async function writeColdkeyPub(location: WalletLocation, ss58Address: string): Promise<string> {
  const publicKey = u8aToHex(decodeAddress(ss58Address, false, SS58_PREFIX))
  return writeKeyfile(coldkeyPubFile(location), JSON.stringify({ accountId: publicKey, publicKey, ss58Address }))
}

/**
 * Returns whether `signature` is an sr25519 signature of `bytes` by the key of the address `ss58`. The bytes may be
 * signed as they are, or wrapped in `<Bytes>` as browser wallets do. Never throws: returns false unless the signature
 * is exactly 0x and 128 hex digits and the address has prefix 42.
 */
export function verifySignature(ss58: string, bytes: Uint8Array, signature: string): boolean {
  if (typeof signature !== 'string' || !/^0x[0-9a-fA-F]{128}$/.test(signature)) return false
  const publicKey = publicKeyOf(ss58)
  if (!publicKey) return false
  const raw = hexToU8a(signature)
  return isSigned(bytes, raw, publicKey) || isSigned(u8aWrapBytes(bytes), raw, publicKey)
}

/** Returns whether a text is an address (SS58, prefix 42). */
export const isAddress = (text: string): boolean => publicKeyOf(text) !== undefined

/** Returns the public key of an address (SS58, prefix 42): 32 bytes; undefined if the text is not an address. */
export function publicKeyOf(ss58: string): Uint8Array | undefined {
  try {
    // The library would also accept a public key in hex, which is not an address.
    return ss58.startsWith('0x') ? undefined : decodeAddress(ss58, false, SS58_PREFIX)
  } catch {
    return undefined
  }
}

/** Returns the address (SS58, prefix 42) of a public key. */
export const addressOf = (publicKey: Uint8Array): string => sr25519Keyring().encodeAddress(publicKey)

function isSigned(bytes: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return verifies(bytes, signature, publicKey)
  } catch {
    return false
  }
}

function hotkeyOf(key: KeyBytes): Hotkey {
  const pair = sr25519Keyring().addFromPair(key)
  return { ss58: pair.address, publicKey: pair.publicKey, sign: bytes => sign(bytes, key), pair }
}

function secretFromUri(uri: string): KeyBytes {
  const { phrase, path, password } = keyExtractSuri(uri.startsWith('//') ? `${DEVELOPMENT_PHRASE}${uri}` : uri)
  return keyFromPath(sr25519PairFromSeed(seedOf(phrase, password)), path, 'sr25519')
}

/** Returns the seed of a phrase. Those of the development keys are all the same, and take 10 ms to compute. */
function seedOf(phrase: string, password: string | undefined): Uint8Array {
  if (phrase.startsWith('0x')) return hexToU8a(phrase)
  if (phrase !== DEVELOPMENT_PHRASE || password) return mnemonicToMiniSecret(phrase, password)
  developmentSeed ??= mnemonicToMiniSecret(phrase)
  return developmentSeed
}

const walletFolder = ({ directory, name }: WalletLocation): string =>
  join(expandHome(directory || DEFAULT_DIRECTORY), name || DEFAULT_NAME)
const hotkeyFile = (location: WalletLocation): string =>
  join(walletFolder(location), 'hotkeys', location.hotkey || DEFAULT_NAME)
const coldkeyPubFile = (location: WalletLocation): string => join(walletFolder(location), 'coldkeypub.txt')

const expandHome = (path: string): string => (/^~(\/|$)/.test(path) ? join(homedir(), path.slice(1)) : path)

async function readKeyfile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') throw new WalletError(file, 'does not exist', createHotkeyAdvice(file))
    if (code === 'EACCES') throw new WalletError(file, 'may not be read by this user', `chown "$(id -un)" ${file}`)
    throw new WalletError(file, `cannot be read (${String(code)})`, createHotkeyAdvice(file))
  }
}

async function writeKeyfile(file: string, text: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true, mode: FOLDER_MODE })
  // Writes a new file and renames it, because writing to an existing file would keep that file's mode.
  const temporary = `${file}.${randomUUID()}`
  await writeFile(temporary, text, { mode: FILE_MODE, flag: 'wx' })
  await rename(temporary, file)
  return file
}
