/**
 * Provides what tests need to install real roles: images of a validator and a miner in a registry, a wallet for each,
 * and a local chain on which both are registered.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hotkeyFromUri, writeColdkeyPub, writeHotkeyFile } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import type { InstalledRole } from '../install-script.ts'
import { Owner } from './owner.ts'
import { type ProgramResult, runProgram } from './run-program.ts'
import { IMAGE_PREFIX, TestRegistry } from './test-registry.ts'

const CHECKOUT = join(import.meta.dirname, '../../../..')
const BUILD_MS = 1_200_000
const IMAGES = ['executor', 'miner', 'validator']
/** Prefixes of the images' names on this machine, for this commit and for earlier ones. */
const PREFIX = 'horde-test'
const EARLIER_PREFIX = 'horde-test-before'
const NETUID = 7
const BLOCK_MS = 1000
const KEYS = { validator: '//Validator', miner: '//Miner' } as const
/** The validator's stake, in rao: 10,000 TAO. */
const STAKE = '10000000000000'

/** The version of the images that `addPreviousImages` adds. */
export const PREVIOUS_VERSION = '0.0.9'

/** The base image for builds, by the name that the test server pulls it by. */
export const SERVER_BASE_IMAGE = '127.0.0.1:5000/base/debian:bookworm'

export class RealRoles implements AsyncDisposable {
  readonly registry: TestRegistry
  readonly owner: Owner
  /** The version of the checkout and its images. */
  readonly version: string
  readonly #chain: Devchain

  private constructor(registry: TestRegistry, owner: Owner, version: string, chain: Devchain) {
    this.registry = registry
    this.owner = owner
    this.version = version
    this.#chain = chain
  }

  /** Builds and pushes the images, writes the wallets and starts the chain. Takes minutes. */
  static async start(): Promise<RealRoles> {
    const { version } = JSON.parse(await readFile(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string }
    await buildImages(CHECKOUT, PREFIX, version)
    const registry = await TestRegistry.start()
    await registry.pushPostgres()
    for (const name of IMAGES) await registry.push(`${PREFIX}/${name}:${version}`, `horde/${name}:${version}`)
    await registry.push('compute-horde/debian:bookworm', 'base/debian:bookworm')
    const owner = await Owner.open()
    for (const role of ['validator', 'miner'] as const) {
      const wallet = { directory: join(owner.folder, 'wallets'), name: role }
      await writeHotkeyFile(wallet, KEYS[role])
      await writeColdkeyPub(wallet, coldkeyOf(role))
    }
    return new RealRoles(registry, owner, version, await startChain())
  }

  /** Builds the previous commit's images and pushes them with the version PREVIOUS_VERSION. */
  addPreviousImages(): Promise<void> {
    return this.addImagesOf('HEAD~1', PREVIOUS_VERSION)
  }

  /** Builds the images of a commit and pushes them with this version. Throws if the clone does not have the commit. */
  async addImagesOf(commit: string, version: string): Promise<void> {
    await ensureCommit(commit)
    const folder = await mkdtemp(join(tmpdir(), 'earlier-commit-'))
    try {
      const unpack = `git archive ${commit} | tar -x -C '${folder}'`
      const unpacked = await runProgram('bash', ['-c', unpack], { cwd: CHECKOUT })
      if (unpacked.code !== 0) throw new Error(`the commit ${commit} could not be unpacked: ${unpacked.output}`)
      await buildImages(folder, EARLIER_PREFIX, version)
    } finally {
      await rm(folder, { recursive: true })
    }
    for (const name of IMAGES) {
      await this.registry.push(`${EARLIER_PREFIX}/${name}:${version}`, `horde/${name}:${version}`)
    }
    const built = await runProgram('docker', ['images', '--format', '{{.Repository}}:{{.Tag}}', `${EARLIER_PREFIX}/*`])
    await runProgram('docker', ['rmi', ...built.output.trim().split('\n')])
  }

  /** Writes the install script of a commit into the owner's folder. Returns its path. */
  async installScriptOf(commit: string, role: InstalledRole): Promise<string> {
    await ensureCommit(commit)
    const script = await runProgram('git', ['show', `${commit}:install_${role}.sh`], { cwd: CHECKOUT })
    if (script.code !== 0) throw new Error(`${commit} has no install script of a ${role}: ${script.output}`)
    const path = join(this.owner.folder, `install_${role}-${commit}.sh`)
    await writeFile(path, script.output)
    return path
  }

  /**
   * Builds and pushes an image that prints the same as the echo image, but sleeps first. Returns its name on a test
   * server.
   */
  async addSlowEcho(seconds: number): Promise<string> {
    const command = `/bin/busybox sleep ${seconds}; exec /bin/busybox cat /volume/payload.txt`
    const input = `FROM compute-horde/echo:v0\nENTRYPOINT ${JSON.stringify(['/bin/busybox', 'sh', '-c', command])}\n`
    const image = `${PREFIX}/slow-echo:v0`
    const built = await runProgram('docker', ['build', '--quiet', '--tag', image, '-'], { input })
    if (built.code !== 0) throw new Error(`the slow echo could not be built: ${built.output}`)
    await this.registry.push(image, 'horde/slow-echo:v0')
    await runProgram('docker', ['rmi', image])
    return `${IMAGE_PREFIX}/slow-echo:v0`
  }

  /** The ss58 address of a role's hotkey. */
  hotkeyOf(role: InstalledRole): string {
    return hotkeyFromUri(KEYS[role]).ss58
  }

  /** The path of a role's hotkey file. */
  hotkeyPath(role: InstalledRole): string {
    return join(this.owner.folder, 'wallets', role, 'hotkeys/default')
  }

  /** The install script's options that name the chain and the subnet. */
  get networkArgs(): string[] {
    return ['--network', this.#chain.url, '--netuid', String(NETUID)]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chain[Symbol.asyncDispose]()
    await this.owner[Symbol.asyncDispose]()
    await this.registry[Symbol.asyncDispose]()
  }
}

/** Returns the steps of an installation with their seconds, as the script printed them. */
export function stepDurations({ output }: ProgramResult): { step: string; seconds: number }[] {
  const found = output.matchAll(/^== (.*)\n(?: {3}.*\n)*? {3}done in (\d+) s$/gm)
  return [...found].map(([, step = '', seconds]) => ({ step, seconds: Number(seconds) }))
}

const coldkeyOf = (role: InstalledRole) => hotkeyFromUri(`${KEYS[role]}//coldkey`).ss58

/** Starts a chain on the address of Docker's bridge, which containers inside a test server can reach. */
async function startChain(): Promise<Devchain> {
  const bridge = await runProgram('ip', ['-4', '-o', 'addr', 'show', 'docker0'])
  const host = bridge.output.match(/inet ([\d.]+)/)?.[1]
  if (!host) throw new Error(`the bridge docker0 has no address: ${bridge.output}`)
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

/** Throws if this checkout's history does not have a commit. */
async function ensureCommit(commit: string): Promise<void> {
  const found = await runProgram('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: CHECKOUT })
  if (found.code === 0) return
  throw new Error(`this clone has no commit ${commit}. If it is a shallow clone, run: git fetch --unshallow`)
}

/** Builds the images of the roles and the executor from a checkout. */
async function buildImages(checkout: string, prefix: string, version: string): Promise<void> {
  const env = { ...process.env, IMAGE_PREFIX: prefix, COMPUTE_HORDE_VERSION: version }
  const built = await runProgram('bash', ['docker/build-images.sh', '--auto', ...IMAGES], {
    cwd: checkout,
    env,
    timeoutMs: BUILD_MS,
  })
  if (built.code !== 0) throw new Error(`the images could not be built: ${built.output}`)
}
