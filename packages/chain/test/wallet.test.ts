import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { u8aToHex } from '@polkadot/util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WalletError } from '../src/errors.ts'
import {
  addressOf,
  cryptoReady,
  hotkeyFromUri,
  isAddress,
  readColdkeyPub,
  readHotkey,
  verifySignature,
  writeColdkeyPub,
  writeHotkeyFile,
} from '../src/wallet.ts'

type Vector = {
  name: string
  payload: { validator_hotkey: string; miner_hotkey: string; timestamp: number }
  signature: string
  verifies: boolean
}
type LoginVector = { public_key: string; signature: string; verifies: boolean }

const utf8 = new TextEncoder()
const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'
const ALICE_PUBLIC = '0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d'
/** //Alice's secret in schnorrkel's form. */
const ALICE_PRIVATE =
  '0x33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09' +
  '925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011'
const PHRASE = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk'
const PHRASE_ADDRESS = '5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV'
const PHRASE_SEED = '0xfac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e'

let directory: string
beforeAll(async () => {
  await cryptoReady()
  directory = await mkdtemp(join(tmpdir(), 'horde-wallet-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

describe('verifySignature', async () => {
  const auth = JSON.parse(await readFile(new URL('fixtures/auth.json', import.meta.url), 'utf8')) as {
    validator_to_miner: Vector[]
    validator_to_facilitator: LoginVector[]
  }

  it.each(auth.validator_to_miner)('$name', ({ payload, signature, verifies }) => {
    const { miner_hotkey, timestamp, validator_hotkey } = payload
    const fields = [`"miner_hotkey": "${miner_hotkey}"`, `"timestamp": ${timestamp}`]
    const json = `{${fields.join(', ')}, "validator_hotkey": "${validator_hotkey}"}`
    expect(verifySignature(validator_hotkey, utf8.encode(json), signature)).toBe(verifies)
  })

  it.each(auth.validator_to_facilitator)(
    'verifies the login of a facilitator',
    ({ public_key, signature, verifies }) => {
      const raw = Uint8Array.from(Buffer.from(public_key, 'hex'))
      expect(verifySignature(addressOf(raw), raw, signature)).toBe(verifies)
    },
  )

  it('returns false and never throws for anything else', () => {
    const alice = hotkeyFromUri('//Alice')
    const bytes = utf8.encode('hello')
    const good = u8aToHex(alice.sign(bytes))
    expect(verifySignature(ALICE, bytes, good)).toBe(true)
    // The same key in hex, or under another prefix, is not this address.
    expect(verifySignature(ALICE_PUBLIC, bytes, good)).toBe(false)
    expect(verifySignature('15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5', bytes, good)).toBe(false)
    expect(verifySignature('', bytes, good)).toBe(false)
    expect(verifySignature('nonsense', bytes, good)).toBe(false)
    for (const bad of ['', '0x', `${good}0`, `${good}\n`, good.slice(0, -2), good.slice(2), `0x${'0'.repeat(128)}`]) {
      expect(verifySignature(ALICE, bytes, bad)).toBe(false)
    }
    expect(verifySignature(ALICE, bytes, undefined as unknown as string)).toBe(false)
    expect(isAddress(ALICE)).toBe(true)
    expect(isAddress(ALICE_PUBLIC)).toBe(false)
  })
})

describe('hotkey files', () => {
  const inFile = async (hotkey: string, content: unknown): Promise<string> => {
    const folder = join(directory, 'wallet', 'hotkeys')
    await mkdir(folder, { recursive: true })
    const file = join(folder, hotkey)
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
    return file
  }
  const read = (hotkey: string) => readHotkey({ directory, name: 'wallet', hotkey })

  it.each([
    ['secretSeed', { secretSeed: PHRASE_SEED, ss58Address: PHRASE_ADDRESS }, PHRASE_ADDRESS],
    ['secretPhrase', { secretPhrase: PHRASE, secretSeed: null }, PHRASE_ADDRESS],
    ['privateKey', { privateKey: ALICE_PRIVATE, publicKey: ALICE_PUBLIC, ss58Address: ALICE }, ALICE],
    ['privateKey with accountId only', { privateKey: ALICE_PRIVATE, accountId: ALICE_PUBLIC }, ALICE],
    [
      'all of them',
      { accountId: null, privateKey: ALICE_PRIVATE, secretPhrase: PHRASE, secretSeed: PHRASE_SEED },
      PHRASE_ADDRESS,
    ],
  ])('reads a key from %s, and the key signs', async (name, content, address) => {
    await inFile(name, content)
    const hotkey = await read(name)
    const bytes = utf8.encode('signed')
    expect(hotkey.ss58).toBe(address)
    expect(verifySignature(address, bytes, u8aToHex(hotkey.sign(bytes)))).toBe(true)
  })

  it('reads back a key file that it wrote, which only the owner may read', async () => {
    for (const uri of ['//Alice', '//Alice//stash', PHRASE, PHRASE_SEED]) {
      const file = await writeHotkeyFile({ directory, name: 'written' }, uri)
      expect(file).toBe(join(directory, 'written', 'hotkeys', 'default'))
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      expect((await readHotkey({ directory, name: 'written' })).ss58).toBe(hotkeyFromUri(uri).ss58)
    }
    await writeHotkeyFile({ directory, name: 'written' }, '//Alice')
    const file = await writeHotkeyFile({ directory, name: 'written' }, '//Alice')
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ privateKey: ALICE_PRIVATE, ss58Address: ALICE })
  })

  it('restricts an existing readable file to its owner when it writes the file again', async () => {
    const file = await inFile('open', 'x')
    await chmod(file, 0o644)
    await writeHotkeyFile({ directory, name: 'wallet', hotkey: 'open' }, '//Alice')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await read('open')).ss58).toBe(ALICE)
    expect((await readdir(join(directory, 'wallet', 'hotkeys'))).filter(name => name.startsWith('open'))).toEqual([
      'open',
    ])
  })

  const SECRET = 'topsecret'
  it.each([
    ['nacl', '$NACLtopsecret', /is encrypted/],
    ['ansible', '$ANSIBLE_VAULT;1.1;AES256\ntopsecret', /is encrypted with ansible-vault/],
    ['fernet', 'gAAAAABtopsecret', /is encrypted/],
    ['empty', '', /not a Bittensor key file/],
    ['half', '{"secretPhrase": "topsecret', /not a Bittensor key file/],
    ['list', '["topsecret"]', /not a Bittensor key file/],
    ['seed', { secretSeed: 'topsecret' }, /damaged \(secretSeed\)/],
    ['phrase', { secretPhrase: 'topsecret topsecret' }, /secretPhrase that is not a valid mnemonic/],
    ['private', { privateKey: `${ALICE_PRIVATE}topsecret`, publicKey: ALICE_PUBLIC }, /damaged \(privateKey\)/],
    ['alone', { privateKey: ALICE_PRIVATE }, /without its publicKey/],
    ['foreign', { privateKey: ALICE_PRIVATE, publicKey: `0x${'11'.repeat(32)}` }, /does not belong to its publicKey/],
    ['other', { secretSeed: PHRASE_SEED, ss58Address: ALICE }, /its secret makes 5Dfh/],
    ['mixed up', { secretSeed: PHRASE_SEED, ss58Address: 'topsecret' }, /its secret makes 5Dfh/],
    ['other key', { secretSeed: PHRASE_SEED, publicKey: ALICE_PUBLIC }, /its secret makes 5Dfh/],
    ['other id', { secretPhrase: PHRASE, accountId: ALICE_PUBLIC.slice(2) }, /its secret makes 5Dfh/],
    ['public', { accountId: ALICE_PUBLIC, publicKey: ALICE_PUBLIC, ss58Address: ALICE }, /cannot sign/],
    ['address', { ss58Address: ALICE }, /cannot sign/],
    ['bare', ALICE_PUBLIC, /cannot sign/],
    [
      'export',
      { encoded: 'topsecret', encoding: { content: ['pkcs8', 'sr25519'] }, address: ALICE },
      /polkadot-js' export/,
    ],
    ['edwards', { accountId: ALICE_PUBLIC, cryptoType: 0, secretPhrase: 'topsecret' }, /is an ed25519 key/],
  ])('refuses a file that is %s, names the file and shows no content', async (name, content, pattern) => {
    const file = await inFile(name, content)
    const error: unknown = await read(name).catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(WalletError)
    expect((error as WalletError).message).toMatch(pattern)
    expect((error as WalletError).message).toContain(file)
    const command = /btcli wallet (?:regen|new)-hotkey --wallet-path (\S+) --wallet wallet --wallet-hotkey (.+?) --/
    const [, path, hotkey] = command.exec((error as WalletError).advice) ?? []
    expect([path, hotkey?.replaceAll("'", '')]).toEqual([directory, name])
    const shown = inspect(error, { depth: 9, showHidden: true }).replaceAll(file, '')
    for (const secret of [SECRET, ALICE_PRIVATE.slice(2, 40), PHRASE_SEED.slice(2)]) expect(shown).not.toContain(secret)
  })

  it('reads a file whose key type is named as sr25519', async () => {
    await inFile('kind', { secretSeed: PHRASE_SEED, ss58Address: PHRASE_ADDRESS, cryptoType: 1 })
    expect((await read('kind')).ss58).toBe(PHRASE_ADDRESS)
  })

  it('names a missing file and the command that makes it, and expands ~', async () => {
    await expect(read('absent')).rejects.toThrow(/wallet\/hotkeys\/absent: does not exist/)
    await expect(read('absent')).rejects.toThrow(
      `btcli wallet new-hotkey --wallet-path ${directory} --wallet wallet --wallet-hotkey absent`,
    )
    const inHome = readHotkey({ directory: '~/no-such-folder-of-wallets' })
    await expect(inHome).rejects.toThrow(`${homedir()}/no-such-folder-of-wallets/default/hotkeys/default`)
    await expect(readHotkey({ directory: tmpdir(), name: '.', hotkey: '..' })).rejects.toThrow(WalletError)
  })

  it('shows no secret when a key is printed', () => {
    const hotkey = hotkeyFromUri('//Alice')
    expect(inspect(hotkey, { depth: 9, showHidden: true })).not.toContain('secretKey')
    expect(JSON.stringify(hotkey)).not.toMatch(/33a6f309|98319d4f/)
  })
})

describe('coldkeypub.txt', () => {
  it('reads every form of the file', async () => {
    const place = { directory, name: 'cold' }
    const file = await writeColdkeyPub(place, ALICE)
    expect(await readColdkeyPub(place)).toBe(ALICE)
    for (const content of [
      ALICE_PUBLIC,
      JSON.stringify({ publicKey: ALICE_PUBLIC }),
      JSON.stringify({ accountId: ALICE_PUBLIC }),
    ]) {
      await writeFile(file, content)
      expect(await readColdkeyPub(place)).toBe(ALICE)
    }
    await writeFile(file, JSON.stringify({ ss58Address: 'nonsense' }))
    await expect(readColdkeyPub(place)).rejects.toThrow(/holds an invalid address/)
    await writeFile(file, '{}')
    await expect(readColdkeyPub(place)).rejects.toThrow(/holds no address/)
  })
})
