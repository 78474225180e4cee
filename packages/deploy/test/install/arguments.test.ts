/** Mistakes on the owner's machine: the install scripts report all at once, each with what to do. */
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HOTKEY_SEED, Owner } from '../../src/testing/owner.ts'

/** A destination and a port where nothing listens, so that no test waits for a connection. */
const NOWHERE = 'root@127.0.0.1'
const CLOSED = ['--ssh-port', '1']
const PULL = ['--image-prefix', 'registry.example/horde']

let owner: Owner
beforeAll(async () => {
  owner = await Owner.open()
})
afterAll(() => owner[Symbol.asyncDispose]())

const hotkeyFile = async (name: string, content: string) => {
  const path = join(owner.folder, name)
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, content)
  return path
}

test('reports every mistake in a command line, and exits with 2', async () => {
  const args = [
    '--port',
    '99999',
    '--nonsense',
    '--netuid',
    'many',
    '--version',
    '1 2',
    '--identity',
    '/none',
    ...CLOSED,
  ]
  const { code, output } = await owner.runScript('miner', [NOWHERE, '/no/hotkey', ...args])
  expect(code).toBe(2)
  for (const mistake of [
    '--port is',
    "'--nonsense' is not an option",
    '--netuid is',
    'is not a version',
    'the SSH key /none cannot be read',
    'there is no file /no/hotkey',
    'no connection to root@127.0.0.1',
  ]) {
    expect(output).toContain(mistake)
  }
  const mistakes = output.split('\n').filter(line => line.startsWith('- '))
  expect(output.match(/What to do: /g)).toHaveLength(mistakes.length)
  expect(output).toContain('Nothing was changed')
})

test.each([
  ['no arguments', [], 'SSH_DESTINATION is missing'],
  ['an option as destination', ['-oProxyCommand=x'], "'-oProxyCommand=x' is not an option"],
  ['an option without its value', [NOWHERE, 'h', '--network'], '--network needs a value'],
  ['an option in one word', [NOWHERE, 'h', '--port=1'], 'write --port and its value as two words'],
  ['a third word', [NOWHERE, 'my', 'hotkey'], 'put quotes around a path with spaces'],
  ['a version without a registry', [NOWHERE, 'h', '--version', '0.1.0'], 'pass --image-prefix'],
  ['a class with a command in it', [NOWHERE, 'h', '--class', '$(reboot)'], 'is not a class'],
  ['a network with a command in it', [NOWHERE, 'h', '--network', '$(reboot)'], 'is not a network'],
])('refuses %s', async (_, args, mistake) => {
  const { code, output } = await owner.runScript('miner', [...args, ...CLOSED])
  expect(output).toContain(mistake)
  expect(code).toBe(2)
})

test('refuses the options of a miner for a validator', async () => {
  const options = ['--port', '8000', '--class', 'always_on.test']
  const { output } = await owner.runScript('validator', [NOWHERE, owner.hotkey, ...options, ...CLOSED])
  expect(output).toContain("--port is a miner's")
  expect(output).toContain("--class is a miner's")
})

test('prints its help without connecting', async () => {
  const { code, output } = await owner.runScript('validator', ['--help'])
  expect(code).toBe(0)
  expect(output).toContain('install_validator.sh SSH_DESTINATION HOTKEY_PATH')
})

describe('a hotkey file', () => {
  /** Runs the script with a key, which must fail without printing it. Returns the output. */
  const refusal = async (path: string) => {
    const { code, output } = await owner.runScript('validator', [NOWHERE, path, ...PULL, ...CLOSED])
    expect(code).toBe(2)
    expect(output).not.toContain(HOTKEY_SEED)
    return output
  }

  test('that is encrypted is refused', async () => {
    expect(await refusal(await hotkeyFile('encrypted', '$NACL\u0001\u0002'))).toContain('is encrypted')
    expect(await refusal(await hotkeyFile('vault', '$ANSIBLE_VAULT;1.1;AES256\n33'))).toContain('is encrypted')
  })

  test('that is a coldkey is refused, by its name and by its address', async () => {
    expect(await refusal(await hotkeyFile('coldkey', '{}'))).toContain('stays on your machine')
    const key = await readFile(owner.hotkey, 'utf8')
    await hotkeyFile('wallet/coldkeypub.txt', JSON.stringify({ ss58Address: JSON.parse(key).ss58Address }))
    expect(await refusal(await hotkeyFile('wallet/hotkeys/renamed', key))).toContain(
      "is the wallet's coldkey under another name",
    )
  })

  test('that is a folder, a public key or something else is refused', async () => {
    expect(await refusal(owner.folder)).toContain('is a folder')
    expect(await refusal(join(owner.folder, 'my wallets/first/coldkeypub.txt'))).toContain(
      'the public part of a key only',
    )
    expect(await refusal(await hotkeyFile('photo', 'JPEG'))).toContain("is not a hotkey's file")
  })

  test('that is a usable hotkey is accepted', async () => {
    expect(await refusal(owner.hotkey)).not.toContain('hotkey')
  })
})

describe('the sources', () => {
  test('must be named when the script comes through a pipe, because there is no release', async () => {
    const { output } = await owner.runScript('miner', [NOWHERE, owner.hotkey, ...CLOSED], { piped: true })
    expect(output).toContain('there is nothing to build')
  })

  test('are by default the checkout that contains the script', async () => {
    const { output } = await owner.runScript('miner', [NOWHERE, owner.hotkey, ...CLOSED])
    expect(output).not.toContain('nothing to build')
  })

  test('as an archive need a checksum, and must match it', async () => {
    const archive = await hotkeyFile('sources.tar.gz', 'anything')
    const from = async (source: string) =>
      (await owner.runScript('miner', [NOWHERE, owner.hotkey, '--from', source, ...CLOSED])).output
    expect(await from(archive)).toContain('there is no checksum')
    expect(await from(`${archive}#sha256=${'0'.repeat(64)}`)).toContain('has the wrong checksum')
    const hash = createHash('sha256').update('anything').digest('hex')
    expect(await from(`${archive}#sha256=${hash}`)).not.toContain('sources.tar.gz')
    await writeFile(`${archive}.sha256`, `${hash}  sources.tar.gz\n`)
    expect(await from(archive)).not.toContain('sources.tar.gz')
  })
})
