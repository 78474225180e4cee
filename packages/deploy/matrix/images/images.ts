/** The images that these tests run, built where they are missing, under names of their own. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** How long one image may take to be built on a busy machine, in milliseconds. */
const BUILD_MS = 900_000

export const CHECKOUT = fileURLToPath(new URL('../../../..', import.meta.url))
/** Beside the prefix of a developer's own images, which other tests run. */
export const PREFIX = 'compute-horde-test'
export const TOOLS_IMAGE = `${PREFIX}/compose-tools`
export const PROMETHEUS_IMAGE = `${PREFIX}/prometheus`
export const POSTGRES_IMAGE = `${PREFIX}/postgres:15`
/** The base of all of them, made from Debian's packages: bin/setup makes it. */
export const BASE_IMAGE = 'compute-horde/debian:bookworm'

/** Debian's own client brings a BuildKit, where another that is first on PATH has none. */
export const DOCKER_CLIENT = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker'

export async function docker(...args: string[]): Promise<string> {
  return (await run('docker', args, { maxBuffer: 64 * 1024 * 1024 })).stdout.trim()
}

/** The version of the checkout, by which its images are tagged. */
export async function checkoutVersion(): Promise<string> {
  return JSON.parse(await readFile(`${CHECKOUT}/package.json`, 'utf8')).version
}

/** Builds what docker/build-images.sh knows; gives what it reported. */
export async function buildImages(...names: string[]): Promise<string> {
  const env = { ...process.env, IMAGE_PREFIX: PREFIX }
  return (await run(`${CHECKOUT}/docker/build-images.sh`, ['--auto', ...names], { env, timeout: BUILD_MS })).stderr
}

export async function buildTools(): Promise<void> {
  const folder = fileURLToPath(new URL('tools', import.meta.url))
  for (const [tag, target] of [
    [TOOLS_IMAGE, 'compose'],
    [PROMETHEUS_IMAGE, 'prometheus'],
  ] as const) {
    const args = ['build', '--tag', tag, '--target', target, '--build-arg', `BASE_IMAGE=${BASE_IMAGE}`, folder]
    await run('docker', args, { timeout: BUILD_MS, maxBuffer: 64 * 1024 * 1024 })
  }
}

/** An authority that the way to the npm registry may need, where Debian keeps those that were added. */
export async function addedAuthorities(): Promise<string> {
  return (await run('sh', ['-c', 'cat /usr/local/share/ca-certificates/*.crt 2>/dev/null || true'])).stdout.trim()
}
