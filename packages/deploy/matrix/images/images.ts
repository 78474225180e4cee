/** Builds the images that these tests run, unless they exist already. They have names of their own. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** How long one image may take to be built on a busy machine, in milliseconds. */
const BUILD_MS = 900_000

export const CHECKOUT = fileURLToPath(new URL('../../../..', import.meta.url))
/** The prefix of the images' names. It differs from that of a developer's own images, which other tests run. */
export const PREFIX = 'compute-horde-test'
export const TOOLS_IMAGE = `${PREFIX}/compose-tools`
export const PROMETHEUS_IMAGE = `${PREFIX}/prometheus`
export const POSTGRES_IMAGE = `${PREFIX}/postgres:15`
/** The base of all images, which bin/setup makes from Debian's packages. */
export const BASE_IMAGE = 'compute-horde/debian:bookworm'

/** Docker's client. Debian's has BuildKit; another one that is first on PATH may not. */
export const DOCKER_CLIENT = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker'

/** Runs Docker on this machine. Returns its trimmed stdout; throws when it fails. */
export async function docker(...args: string[]): Promise<string> {
  return (await run('docker', args, { maxBuffer: 64 * 1024 * 1024 })).stdout.trim()
}

/** Returns the version of the checkout, which is its images' tag. */
export async function checkoutVersion(): Promise<string> {
  return JSON.parse(await readFile(`${CHECKOUT}/package.json`, 'utf8')).version
}

/** Builds images with docker/build-images.sh. Returns what the script reported on stderr. */
export async function buildImages(...names: string[]): Promise<string> {
  const env = { ...process.env, IMAGE_PREFIX: PREFIX }
  return (await run(`${CHECKOUT}/docker/build-images.sh`, ['--auto', ...names], { env, timeout: BUILD_MS })).stderr
}

/** Builds the images with both Compose versions and with Prometheus. */
export async function buildToolImages(): Promise<void> {
  const folder = fileURLToPath(new URL('tools', import.meta.url))
  for (const [tag, target] of [
    [TOOLS_IMAGE, 'compose'],
    [PROMETHEUS_IMAGE, 'prometheus'],
  ] as const) {
    const args = ['build', '--tag', tag, '--target', target, '--build-arg', `BASE_IMAGE=${BASE_IMAGE}`, folder]
    await run('docker', args, { timeout: BUILD_MS, maxBuffer: 64 * 1024 * 1024 })
  }
}

/** Returns the certificates that were added to this machine. Builds need them behind a proxy with its own authority. */
export async function addedCertificates(): Promise<string> {
  return (await run('sh', ['-c', 'cat /usr/local/share/ca-certificates/*.crt 2>/dev/null || true'])).stdout.trim()
}
