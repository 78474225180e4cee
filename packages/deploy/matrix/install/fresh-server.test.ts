/** Both roles with their real images on one server, from nothing to healthy: pulled, and built on the server itself. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hotkeyFromUri, writeColdkeyPub, writeHotkeyFile } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Owner } from '../../src/testing/owner.ts'
import { type Ended, run } from '../../src/testing/run-program.ts'
import { IMAGE_PREFIX, TestRegistry } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const CHECKOUT = join(import.meta.dirname, '../../../..')
const BUILD_MS = 1_200_000
const NETUID = 7
const DONE = 'What to do next:'
const SECOND_RUN_SECONDS = 30
/** Where Debian keeps the certificates that were added to a machine, which a build needs behind such a proxy. */
const CERTIFICATES = '/usr/local/share/ca-certificates'

let registry: TestRegistry
let chain: Devchain
let owner: Owner
let server: TestServer | undefined
let network: string[]
const hotkeys = { validator: '', miner: '' }

beforeAll(async () => {
  const { version } = JSON.parse(await readFile(join(CHECKOUT, 'package.json'), 'utf8'))
  const env = { ...process.env, IMAGE_PREFIX: 'horde-test', COMPUTE_HORDE_VERSION: version }
  const built = await run('bash', ['docker/build-images.sh', '--auto', 'executor', 'miner', 'validator'], {
    cwd: CHECKOUT,
    env,
    withinMs: BUILD_MS,
  })
  expect(built.code, built.output).toBe(0)
  registry = await TestRegistry.start()
  await registry.pushPostgres()
  for (const name of ['executor', 'miner', 'validator'])
    await registry.push(`horde-test/${name}:${version}`, `horde/${name}:${version}`)
  await registry.push('compute-horde/debian:bookworm', 'base/debian:bookworm')
  owner = await Owner.open()
  const members = { validator: '//Validator', miner: '//Miner' } as const
  for (const role of ['validator', 'miner'] as const) {
    const place = { directory: join(owner.folder, 'wallets'), name: role }
    await writeHotkeyFile(place, members[role])
    await writeColdkeyPub(place, hotkeyFromUri(`${members[role]}//coldkey`).ss58)
    hotkeys[role] = join(owner.folder, 'wallets', role, 'hotkeys/default')
  }
  const neuron = (uri: string, stake: string) => ({
    hotkey: hotkeyFromUri(uri).ss58,
    coldkey: hotkeyFromUri(`${uri}//coldkey`).ss58,
    stake,
  })
  const host =
    (await run('ip', ['-4', '-o', 'addr', 'show', 'docker0'])).output.match(/inet ([\d.]+)/)?.[1] ?? '127.0.0.1'
  chain = await startDevchain({
    host,
    blockMs: 1000,
    genesis: {
      balances: {},
      sudo: hotkeyFromUri('//Alice').ss58,
      subnets: [
        {
          netuid: NETUID,
          tempo: 20,
          neurons: [neuron(members.validator, '10000000000000'), neuron(members.miner, '0')],
        },
      ],
    },
  })
  network = ['--network', chain.url, '--netuid', String(NETUID)]
}, BUILD_MS)
afterEach(async () => {
  await server?.[Symbol.asyncDispose]()
  server = undefined
})
afterAll(async () => {
  await chain?.[Symbol.asyncDispose]()
  await owner?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

/** What each step took, as the script says it. */
function printSteps(title: string, { output, seconds }: Ended): void {
  const steps = [...output.matchAll(/^== (.*)\n(?: {3}.*\n)*? {3}done in (\d+) s$/gm)].map(
    ([, step, took]) => `${step} ${took} s`,
  )
  process.stdout.write(`${title}: ${Math.round(seconds)} s (${steps.join(', ')})\n`)
}

test('both roles are pulled onto a bare server, run beside each other, and are back after a reboot', async () => {
  server = await TestServer.start({ kind: 'bare', registry: registry.images })
  const pull = [...network, '--image-prefix', IMAGE_PREFIX]
  const miner = await owner.install('miner', server, { user: 'deploy', piped: true, hotkey: hotkeys.miner, args: pull })
  expect(miner.output).toContain(DONE)
  printSteps('install_miner.sh on a bare server', miner)
  const validator = await owner.install('validator', server, { hotkey: hotkeys.validator, args: pull })
  expect(validator.output).toContain(DONE)
  printSteps('install_validator.sh on a server with a miner', validator)
  const containers = await server.sh('docker inspect --format "{{.Id}} {{.State.StartedAt}}" $(docker ps -q) | sort')
  const again = await owner.install('miner', server, { hotkey: hotkeys.miner, args: pull })
  printSteps('install_miner.sh again', again)
  expect(again.seconds).toBeLessThan(SECOND_RUN_SECONDS)
  expect(await server.sh('docker inspect --format "{{.Id}} {{.State.StartedAt}}" $(docker ps -q) | sort')).toBe(
    containers,
  )
  const open = await server.sh("ss -Htln | awk '{ print $4 }' | grep -vE '^127\\.|:22$' | sort -u")
  expect(open.split('\n').every(address => address.endsWith(':8000'))).toBe(true)
  await server.reboot()
  for (const role of ['miner', 'validator']) await server.until(`compute-horde ${role} status`, 240_000)
})

test('both roles are built on the server, with Docker and nothing else', async () => {
  server = await TestServer.start({ kind: 'with-docker', registry: registry.images })
  for (const name of await readdir(CERTIFICATES))
    await server.write(`${CERTIFICATES}/${name}`, await readFile(join(CERTIFICATES, name), 'utf8'))
  const build = [...network, '--base-image', '127.0.0.1:5000/base/debian:bookworm']
  const miner = await owner.install('miner', server, { hotkey: hotkeys.miner, args: build })
  expect(miner.output).toContain(DONE)
  printSteps('install_miner.sh, built on the server', miner)
  const again = await owner.install('miner', server, { hotkey: hotkeys.miner, args: build })
  expect(again.output).toContain(DONE)
  expect(again.seconds).toBeLessThan(SECOND_RUN_SECONDS)
})
