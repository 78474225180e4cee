import type { KeyringPair } from '@polkadot/keyring/types'
import { z } from 'zod'
import { WalletError } from './errors.ts'
import {
  hexToU8a,
  Keyring,
  mnemonicToMiniSecret,
  mnemonicValidate,
  sr25519PairFromSeed,
  sr25519Sign,
  sr25519Verify,
  u8aToHex,
} from './polkadot/crypto.ts'
import { makeNew, regenerate, regenerateAddress } from './wallet-advice.ts'

/** Bittensor's addresses: SS58 prefix 42, said explicitly, since some chain specs of 2024 carry a wrong one. */
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

/** What polkadot-js exports of an account: its secret is encrypted. */
const polkadotExportSchema = z.object({ encoded: z.string(), encoding: z.object({ content: z.unknown() }) })

/** What Bittensor's tools write of a key that is no sr25519 one; of that they write 1, or nothing. */
const otherKindSchema = z.object({ cryptoType: z.literal([0, 2, 'ed25519', 'ecdsa']) })

/** How encrypted files begin, each with the program that made it. */
const ENCRYPTED = [
  ['$NACL', 'a password'],
  ['$ANSIBLE_VAULT', 'ansible-vault'],
  ['gAAAAA', 'a password (Fernet)'],
] as const

/**
 * The key pair in a Bittensor hotkey file. Of the secrets that a file may hold, the first of secretSeed, secretPhrase,
 * privateKey counts.
 * @throws WalletError when the file is encrypted, broken or holds no secret. Its message never shows the content.
 */
export function pairOfKeyfile(file: string, text: string): KeyringPair {
  const keyfile = parseKeyfile(file, text)
  const secret = secretOf(file, keyfile)
  if (!secret) throw new WalletError(file, 'holds only a public key, and can not sign', regenerate(file))
  const pair = sr25519Keyring().addFromPair(secret)
  const isOther = (said: string): boolean => {
    const isHex = said.startsWith('0x') || said.length === 2 * pair.publicKey.length
    return isHex ? withPrefix(said).toLowerCase() !== u8aToHex(pair.publicKey) : said !== pair.address
  }
  const { ss58Address, publicKey, accountId } = keyfile
  // What it says is not shown: a file that is mixed up may have a secret there.
  if ([ss58Address, publicKey, accountId].some(said => said && isOther(said))) {
    throw new WalletError(file, `says it is another key: its secret makes ${pair.address}`, regenerate(file))
  }
  return pair
}

/** The address (SS58) in a coldkeypub.txt or any other key file, secrets or none. */
export function addressOfKeyfile(file: string, text: string): string {
  const { ss58Address, publicKey, accountId } = parseKeyfile(file, text)
  const said = ss58Address || publicKey || accountId
  if (!said) throw new WalletError(file, 'holds no address', regenerateAddress(file))
  try {
    const keyring = sr25519Keyring()
    return keyring.encodeAddress(keyring.decodeAddress(said))
  } catch {
    throw new WalletError(file, 'holds an address that can not be read', regenerateAddress(file))
  }
}

/** The text of a plain hotkey file that both this package and Bittensor's tools read. */
export function keyfileText(pair: { publicKey: Uint8Array; secretKey: Uint8Array }): string {
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

export const sr25519Keyring = () => new Keyring({ type: 'sr25519', ss58Format: SS58_PREFIX })

function parseKeyfile(file: string, text: string): Keyfile {
  const trimmed = text.trim()
  const encrypted = ENCRYPTED.find(([start]) => trimmed.startsWith(start))
  if (encrypted) {
    throw new WalletError(
      file,
      `is encrypted with ${encrypted[1]}, and only a plain key file can be used`,
      regenerate(file),
    )
  }
  // Bittensor 6 also knew files that hold nothing but a public key.
  if (/^0x[0-9a-fA-F]{64}$/.test(trimmed)) return { publicKey: trimmed }
  const json = jsonOrUndefined(trimmed)
  if (polkadotExportSchema.safeParse(json).success) {
    throw new WalletError(file, "is polkadot-js' export of an account, and no Bittensor hotkey file", regenerate(file))
  }
  if (otherKindSchema.safeParse(json).success) {
    throw new WalletError(file, 'is an ed25519 key, and the network takes sr25519 keys alone', makeNew(file))
  }
  const parsed = keyfileSchema.safeParse(json)
  if (!parsed.success) {
    // Neither the parser's error nor zod's goes along: both may quote the secret.
    const fields = [...new Set(parsed.error.issues.map(issue => issue.path.join('.')))].filter(Boolean).join(', ')
    const where = fields ? ` (${fields})` : ''
    throw new WalletError(file, `is not a Bittensor key file, or is damaged${where}`, regenerate(file))
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

function secretOf(file: string, keyfile: Keyfile): { publicKey: Uint8Array; secretKey: Uint8Array } | undefined {
  if (keyfile.secretSeed) return sr25519PairFromSeed(hexToU8a(withPrefix(keyfile.secretSeed)))
  if (keyfile.secretPhrase) {
    if (!mnemonicValidate(keyfile.secretPhrase)) {
      throw new WalletError(file, 'holds a secretPhrase that is no valid mnemonic', regenerate(file))
    }
    return sr25519PairFromSeed(mnemonicToMiniSecret(keyfile.secretPhrase))
  }
  if (!keyfile.privateKey) return undefined
  const secretKey = fromSchnorrkel(hexToU8a(withPrefix(keyfile.privateKey)))
  const said = keyfile.publicKey ?? keyfile.accountId ?? keyfile.ss58Address
  if (!said) throw new WalletError(file, 'holds a privateKey without its publicKey', regenerate(file))
  return matchingPair(file, secretKey, withPrefixIfHex(said))
}

/** A file whose secret and public key do not belong together would sign what nobody can verify. */
function matchingPair(
  file: string,
  secretKey: Uint8Array,
  said: string,
): { publicKey: Uint8Array; secretKey: Uint8Array } {
  try {
    const pair = { secretKey, publicKey: sr25519Keyring().decodeAddress(said) }
    const probe = new Uint8Array(1)
    if (sr25519Verify(probe, sr25519Sign(probe, pair), pair.publicKey)) return pair
  } catch {
    // A scalar out of range or an unreadable public key: the same remedy.
  }
  throw new WalletError(file, 'holds a privateKey that does not belong to its publicKey', regenerate(file))
}

const withPrefix = (hex: string): string => (hex.startsWith('0x') ? hex : `0x${hex}`)
const withPrefixIfHex = (said: string): string => (/^[0-9a-fA-F]{64}$/.test(said) ? `0x${said}` : said)

/**
 * schnorrkel keeps a secret scalar as it is, polkadot.js keeps it times 8 (ed25519's form): shifts the first 32 bytes,
 * little-endian, left by 3 bits. The other 32 bytes, the nonce seed, stay.
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

/** The inverse of `fromSchnorrkel`. */
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
