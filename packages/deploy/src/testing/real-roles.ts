/** The real images of a validator and a miner in a registry, wallets of both, and a chain on which both are registered. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hotkeyFromUri, writeColdkeyPub, writeHotkeyFile } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import type { InstalledRole } from '../install-script.ts'
import { Owner } from './owner.ts'
import { type Ended, run } from './run-program.ts'
import { TestRegistry } from './test-registry.ts'

const CHECKOUT = join(import.meta.dirname, '../../../..')
const BUILD_MS = 1_200_000
const IMAGES = ['executor', 'miner', 'validator']
/** What stands before the names of the images on this machine. An image that is the same in both commits is built for both. */
const PREFIX = 'horde-test'
const PREFIX_BEFORE = 'horde-test-before'
const NETUID = 7
const BLOCK_MS = 1000
const KEYS = { validator: '//Validator', miner: '//Miner' } as const
/** Of the validator, in rao: 10,000 TAO. */
const STAKE = '10000000000000'

/** The version of the images of the commit before, where a test asks for them. */
export const VERSION_BEFORE = '0.0.9'

/** The base image as the server sees it, for builds. */
export const SERVER_BASE_IMAGE = '127.0.0.1:5000/base/debian:bookworm'

export class RealRoles implements AsyncDisposable {
  readonly registry: TestRegistry
  readonly owner: Owner
  /** Of the checkout, and of its images. */
  readonly version: string
  readonly #chain: Devchain

  private constructor(registry: TestRegistry, owner: Owner, version: string, chain: Devchain) {
    this.registry = registry
    this.owner = owner
    this.version = version
    this.#chain = chain
  }

  static async start(): Promise<RealRoles> {
    const { version } = JSON.parse(await readFile(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string }
    await buildImages(CHECKOUT, PREFIX, version)
    const registry = await TestRegistry.start()
    await registry.pushPostgres()
    for (const name of IMAGES) await registry.push(`${PREFIX}/${name}:${version}`, `horde/${name}:${version}`)
    await registry.push('compute-horde/debian:bookworm', 'base/debian:bookworm')
    const owner = await Owner.open()
    for (const role of ['validator', 'miner'] as const) {
      const place = { directory: join(owner.folder, 'wallets'), name: role }
      await writeHotkeyFile(place, KEYS[role])
      await writeColdkeyPub(place, coldkeyOf(role))
    }
    return new RealRoles(registry, owner, version, await startChain())
  }

  /** Adds the images of the commit before, as VERSION_BEFORE. */
  async addImagesOfBefore(): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'commit-before-'))
    try {
      const unpacked = await run('bash', ['-c', `git archive HEAD~1 | tar -x -C '${folder}'`], { cwd: CHECKOUT })
      if (unpacked.code !== 0) throw new Error(`there is no commit before: ${unpacked.output}`)
      await buildImages(folder, PREFIX_BEFORE, VERSION_BEFORE)
    } finally {
      await rm(folder, { recursive: true })
    }
    for (const name of IMAGES) {
      const image = `${name}:${VERSION_BEFORE}`
      await this.registry.push(`${PREFIX_BEFORE}/${image}`, `horde/${image}`)
    }
    const built = await run('docker', ['images', '--format', '{{.Repository}}:{{.Tag}}', `${PREFIX_BEFORE}/*`])
    await run('docker', ['rmi', ...built.output.trim().split('\n')])
  }

  hotkeyOf(role: InstalledRole): string {
    return hotkeyFromUri(KEYS[role]).ss58
  }

  hotkeyPath(role: InstalledRole): string {
    return join(this.owner.folder, 'wallets', role, 'hotkeys/default')
  }

  /** The options that name the chain. */
  get network(): string[] {
    return ['--network', this.#chain.url, '--netuid', String(NETUID)]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chain[Symbol.asyncDispose]()
    await this.owner[Symbol.asyncDispose]()
    await this.registry[Symbol.asyncDispose]()
  }
}

/** What each step of an installation took, as the script says it. */
export function stepsOf({ output }: Ended): { step: string; seconds: number }[] {
  const found = output.matchAll(/^== (.*)\n(?: {3}.*\n)*? {3}done in (\d+) s$/gm)
  return [...found].map(([, step = '', seconds]) => ({ step, seconds: Number(seconds) }))
}

const coldkeyOf = (role: InstalledRole) => hotkeyFromUri(`${KEYS[role]}//coldkey`).ss58

/** Listens on Docker's bridge, where containers of containers reach it. */
async function startChain(): Promise<Devchain> {
  const bridge = await run('ip', ['-4', '-o', 'addr', 'show', 'docker0'])
  const host = bridge.output.match(/inet ([\d.]+)/)?.[1]
  if (!host) throw new Error(`there is no bridge docker0: ${bridge.output}`)
  const neuron = (role: InstalledRole, stake: string) => ({
    hotkey: hotkeyFromUri(KEYS[role]).ss58,
    coldkey: coldkeyOf(role),
    stake,
  })
  const subnet = { netuid: NETUID, tempo: 20, neurons: [neuron('validator', STAKE), neuron('miner', '0')] }
  return startDevchain({
    host,
    blockMs: BLOCK_MS,
    genesis: { balances: {}, sudo: hotkeyFromUri('//Alice').ss58, subnets: [subnet] },
  })
}

async function buildImages(checkout: string, prefix: string, version: string): Promise<void> {
  const env = { ...process.env, IMAGE_PREFIX: prefix, COMPUTE_HORDE_VERSION: version }
  const built = await run('bash', ['docker/build-images.sh', '--auto', ...IMAGES], {
    cwd: checkout,
    env,
    withinMs: BUILD_MS,
  })
  if (built.code !== 0) throw new Error(`the images could not be built: ${built.output}`)
}
