import { z } from 'zod'
import { regenerateColdkeyPubAdvice, regenerateHotkeyAdvice, replaceHotkeyAdvice } from '../btcli/commands.ts'
import { WalletError } from '../errors.ts'
import {
  hexToU8a,
  Keyring,
  mnemonicToMiniSecret,
  mnemonicValidate,
  sr25519PairFromSeed,
  sr25519Sign,
  sr25519Verify,
  u8aToHex,
} from '../polkadot/crypto.ts'
import type { KeyBytes } from './sr25519.ts'

/** The SS58 prefix of Bittensor's addresses. A constant, because some chain specs of 2024 have a wrong one. */
export const SS58_PREFIX = 42

const hexOf = (bytes: number): z.ZodType<string> => z.string().regex(new RegExp(`^(0x)?[0-9a-fA-F]{${2 * bytes}}$`))

const keyfileSchema = z.object({
  accountId: z.string().nullish(),
  publicKey: z.string().nullish(),
  privateKey: hexOf(64).nullish(),
  secretPhrase: z.string().nullish(),
  secretSeed: hexOf(32).nullish(),
  ss58Address: z.string().nullish(),
})
type Keyfile = z.infer<typeof keyfileSchema>

/** An account exported by polkadot-js. Its secret is encrypted. */
const polkadotExportSchema = z.object({ encoded: z.string(), encoding: z.object({ content: z.unknown() }) })

/** A key of another type. For sr25519, Bittensor's tools write the type 1 or none. */
const otherKindSchema = z.object({ cryptoType: z.literal([0, 2, 'ed25519', 'ecdsa']) })

/** How encrypted files begin, and what encrypted them. */
const ENCRYPTED = [
  ['$NACL', 'a password'],
  ['$ANSIBLE_VAULT', 'ansible-vault'],
  ['gAAAAA', 'a password (Fernet)'],
] as const

/**
 * Returns the key in the text of a Bittensor hotkey file. Uses the first that the file holds of secretSeed,
 * secretPhrase and privateKey.
 * @throws WalletError when the file is encrypted, damaged or without a secret. Its message never shows the content.
 */
export function keyOfKeyfile(file: string, text: string): KeyBytes {
  const keyfile = parseKeyfile(file, text)
  const secret = secretOf(file, keyfile)
  if (!secret) throw new WalletError(file, 'holds only a public key, and cannot sign', regenerateHotkeyAdvice(file))
  const pair = sr25519Keyring().addFromPair(secret)
  const isOther = (named: string): boolean => {
    const isHex = named.startsWith('0x') || named.length === 2 * pair.publicKey.length
    return isHex ? withPrefix(named).toLowerCase() !== u8aToHex(pair.publicKey) : named !== pair.address
  }
  const { ss58Address, publicKey, accountId } = keyfile
  // The message does not show these fields: a damaged file may have a secret there.
  if ([ss58Address, publicKey, accountId].some(named => named && isOther(named))) {
    throw new WalletError(file, `names another key: its secret makes ${pair.address}`, regenerateHotkeyAdvice(file))
  }
  return secret
}

/**
 * Returns the address (SS58) in the text of a coldkeypub.txt or of any other key file.
 * @throws WalletError
 */
export function addressOfKeyfile(file: string, text: string): string {
  const { ss58Address, publicKey, accountId } = parseKeyfile(file, text)
  const named = ss58Address || publicKey || accountId
  if (!named) throw new WalletError(file, 'holds no address', regenerateColdkeyPubAdvice(file))
  try {
    const keyring = sr25519Keyring()
    return keyring.encodeAddress(keyring.decodeAddress(named))
  } catch {
    throw new WalletError(file, 'holds an invalid address', regenerateColdkeyPubAdvice(file))
  }
}

/** Returns the text of an unencrypted hotkey file, which this package and Bittensor's tools can read. */
export function keyfileText(pair: KeyBytes): string {
  const publicKey = u8aToHex(pair.publicKey)
  const ss58Address = sr25519Keyring().encodeAddress(pair.publicKey)
  const privateKey = u8aToHex(toSchnorrkel(pair.secretKey))
  return JSON.stringify({
    accountId: publicKey,
    publicKey,
    privateKey,
    secretPhrase: null,
    secretSeed: null,
    ss58Address,
  })
}

/** Makes a keyring for Bittensor's addresses. */
export const sr25519Keyring = () => new Keyring({ type: 'sr25519', ss58Format: SS58_PREFIX })

function parseKeyfile(file: string, text: string): Keyfile {
  const trimmed = text.trim()
  const encrypted = ENCRYPTED.find(([start]) => trimmed.startsWith(start))
  if (encrypted) {
    throw new WalletError(
      file,
      `is encrypted with ${encrypted[1]}, but the service needs an unencrypted key file`,
      regenerateHotkeyAdvice(file),
    )
  }
  // Bittensor 6 also had files that hold only a public key.
  if (/^0x[0-9a-fA-F]{64}$/.test(trimmed)) return { publicKey: trimmed }
  const json = jsonOrUndefined(trimmed)
  if (polkadotExportSchema.safeParse(json).success) {
    const problem = "is polkadot-js' export of an account, not a Bittensor hotkey file"
    throw new WalletError(file, problem, regenerateHotkeyAdvice(file))
  }
  if (otherKindSchema.safeParse(json).success) {
    const problem = 'is an ed25519 key, but the network accepts only sr25519 keys'
    throw new WalletError(file, problem, replaceHotkeyAdvice(file))
  }
  const parsed = keyfileSchema.safeParse(json)
  if (!parsed.success) {
    // Leaves out the cause: the errors of the JSON parser and of zod may quote the secret.
    const fields = [...new Set(parsed.error.issues.map(issue => issue.path.join('.')))].filter(Boolean).join(', ')
    const where = fields ? ` (${fields})` : ''
    throw new WalletError(file, `is not a Bittensor key file, or is damaged${where}`, regenerateHotkeyAdvice(file))
  }
  return parsed.data
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function secretOf(file: string, keyfile: Keyfile): KeyBytes | undefined {
  if (keyfile.secretSeed) return sr25519PairFromSeed(hexToU8a(withPrefix(keyfile.secretSeed)))
  if (keyfile.secretPhrase) {
    if (!mnemonicValidate(keyfile.secretPhrase)) {
      throw new WalletError(file, 'holds a secretPhrase that is not a valid mnemonic', regenerateHotkeyAdvice(file))
    }
    return sr25519PairFromSeed(mnemonicToMiniSecret(keyfile.secretPhrase))
  }
  if (!keyfile.privateKey) return undefined
  const secretKey = fromSchnorrkel(hexToU8a(withPrefix(keyfile.privateKey)))
  const named = keyfile.publicKey ?? keyfile.accountId ?? keyfile.ss58Address
  if (!named) throw new WalletError(file, 'holds a privateKey without its publicKey', regenerateHotkeyAdvice(file))
  return matchingPair(file, secretKey, withPrefixIfHex(named))
}

/** Returns the pair of a secret and the public key named in the file. @throws WalletError when they do not match */
function matchingPair(file: string, secretKey: Uint8Array, named: string): KeyBytes {
  try {
    const pair = { secretKey, publicKey: sr25519Keyring().decodeAddress(named) }
    const probe = new Uint8Array(1)
    // In JavaScript: WebAssembly aborts on a secret that is none.
    if (sr25519Verify(probe, sr25519Sign(probe, pair), pair.publicKey)) return pair
  } catch {
    // The scalar is out of range or the public key is invalid. The advice is the same.
  }
  throw new WalletError(file, 'holds a privateKey that does not belong to its publicKey', regenerateHotkeyAdvice(file))
}

const withPrefix = (hex: string): string => (hex.startsWith('0x') ? hex : `0x${hex}`)
const withPrefixIfHex = (key: string): string => (/^[0-9a-fA-F]{64}$/.test(key) ? `0x${key}` : key)

/**
 * Converts a secret key from schnorrkel's form to polkadot.js's, which multiplies the scalar by 8 as ed25519 does.
 * Shifts the first 32 bytes, little-endian, left by 3 bits and keeps the other 32, the nonce seed.
 */
function fromSchnorrkel(secret: Uint8Array): Uint8Array {
  const out = Uint8Array.from(secret)
  let carry = 0
  for (let i = 0; i < 32; i++) {
    const byte = secret[i] ?? 0
    out[i] = ((byte << 3) | carry) & 0xff
    carry = byte >> 5
  }
  return out
}

/** Converts a secret key back to schnorrkel's form. */
function toSchnorrkel(secret: Uint8Array): Uint8Array {
  const out = Uint8Array.from(secret)
  let carry = 0
  for (let i = 31; i >= 0; i--) {
    const byte = secret[i] ?? 0
    out[i] = (byte >> 3) | (carry << 5)
    carry = byte & 7
  }
  return out
}
