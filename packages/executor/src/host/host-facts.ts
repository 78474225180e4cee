/** What the executor knows of its host: what the engine tells, and what the host's own files do. No container is started for it. */
import { execFile } from 'node:child_process'
import { readFile, readlink } from 'node:fs/promises'
import { release, totalmem, version } from 'node:os'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { EngineFacts } from '@horde/engine/engine-facts'

const TOOLKIT_PROGRAM = 'nvidia-ctk'
const TOOLKIT_PACKAGE = 'nvidia-container-toolkit'
/** The link to NVIDIA's control device, by its numbers: where there is one, all of NVIDIA's devices have one. */
const CONTROL_LINK = '/dev/char/195:255'
/** How long NVIDIA's program may take to tell its version, in ms. */
const PROGRAM_MS = 5_000
/** A changelog that says more than this is read up to here, in bytes. */
const MAX_CHANGELOG_BYTES = 8 * 1024 * 1024

export interface HostFacts extends EngineFacts {
  /** The host's swap, in bytes; undefined when the engine runs on another machine. */
  swapBytes: number | undefined
  /** Further names of the kernel's version: a distribution's release may hide how new it is. */
  kernelBuilds: string[]
  /** The version of NVIDIA's container toolkit; undefined when it cannot be seen from here. */
  nvidiaToolkit: string | undefined
  /** The flaws of runc that the distribution says it has mended in the version that it ships. */
  mendedInRunc: string[]
  /** Whether /dev/char has links to the nodes of NVIDIA's devices; undefined when it cannot be seen from here. */
  linksGpuNodes: boolean | undefined
}

/**
 * @param hasGpus whether this executor has GPUs to give
 * @param inContainer whether this process sees a container's packages in place of its host's
 */
export async function hostFacts(
  engine: EngineFacts,
  { hasGpus, inContainer }: { hasGpus: boolean; inContainer: boolean },
): Promise<HostFacts> {
  const isHere = engine.kernel === release() && engine.memoryBytes === totalmem()
  const seesPackages = isHere && !inContainer
  const [memory, signature, nvidiaToolkit, changelog, linksGpuNodes] = await Promise.all([
    isHere ? textOf('/proc/meminfo') : '',
    isHere ? textOf('/proc/version_signature') : '',
    seesPackages && (hasGpus || engine.tellsOfNvidia) ? toolkitVersion() : undefined,
    seesPackages ? runcChangelog() : '',
    seesPackages ? isLink(CONTROL_LINK) : undefined,
  ])
  return {
    ...engine,
    swapBytes: swapOf(memory),
    kernelBuilds: isHere ? kernelBuilds(version(), signature) : [],
    nvidiaToolkit,
    mendedInRunc: mendedBy(changelog, engine.runc.build),
    linksGpuNodes,
  }
}

/** From /proc/meminfo, in bytes; undefined when it does not say. */
export function swapOf(memory: string): number | undefined {
  const kib = /^SwapTotal:\s+(\d+) kB$/m.exec(memory)?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

/** The upstream versions in what `uname -v` says on Debian, and /proc/version_signature on Ubuntu. */
export function kernelBuilds(uname: string, signature: string): string[] {
  const found = [/\bDebian (\d+\.\d+\.\d+)/.exec(uname)?.[1], / (\d+\.\d+\.\d+)\s*$/.exec(signature)?.[1]]
  return found.filter(build => build !== undefined)
}

/** The flaws that a Debian changelog names, if its newest entry is the build that the engine uses. */
export function mendedBy(changelog: string, build: string): string[] {
  const newest = /^\S+ \(([^)]+)\)/.exec(changelog)?.[1]
  if (newest === undefined || newest !== build) return []
  return [...new Set(changelog.match(/CVE-\d{4}-\d{4,}/g))]
}

/** The version of an installed package, by dpkg's status file, without what the distribution adds. */
export function packageVersion(status: string, name: string): string | undefined {
  const entry = status.split('\n\n').find(each => each.startsWith(`Package: ${name}\n`))
  if (entry === undefined || !/^Status: .* installed$/m.test(entry)) return undefined
  return /^Version: (?:\d+:)?([^\s-]+)/m.exec(entry)?.[1]
}

async function toolkitVersion(): Promise<string | undefined> {
  const told = await promisify(execFile)(TOOLKIT_PROGRAM, ['--version'], { timeout: PROGRAM_MS }).catch(() => undefined)
  const version = /version (\d\S*)/.exec(told?.stdout ?? '')?.[1]
  return version ?? packageVersion(await textOf('/var/lib/dpkg/status'), TOOLKIT_PACKAGE)
}

async function runcChangelog(): Promise<string> {
  const packed = await readFile('/usr/share/doc/runc/changelog.Debian.gz').catch(() => undefined)
  if (packed === undefined) return ''
  const text = await promisify(gunzip)(packed, { maxOutputLength: MAX_CHANGELOG_BYTES }).catch(() => '')
  return text.toString()
}

async function isLink(path: string): Promise<boolean> {
  return readlink(path).then(
    () => true,
    () => false,
  )
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}
