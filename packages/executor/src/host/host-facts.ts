/** Collects what the engine and the files of this host say about it, without starting a container. */
import { execFile } from 'node:child_process'
import { readFile, readlink } from 'node:fs/promises'
import { release, totalmem, version } from 'node:os'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { EngineFacts } from '@horde/engine/engine-facts'

const TOOLKIT_PROGRAM = 'nvidia-ctk'
const TOOLKIT_PACKAGE = 'nvidia-container-toolkit'
/** The link to NVIDIA's control device, by its numbers: where it exists, all of NVIDIA's devices have one. */
const CONTROL_LINK = '/dev/char/195:255'
/** How long NVIDIA's program may take to print its version, in ms. */
const PROGRAM_MS = 5_000
/** The largest changelog that is read, unpacked, in bytes. */
const MAX_CHANGELOG_BYTES = 8 * 1024 * 1024

export interface HostFacts extends EngineFacts {
  /** The host's swap, in bytes; undefined when the engine runs on another machine. */
  swapBytes: number | undefined
  /** The upstream versions of the kernel, where its distribution names them: its own release may hide how new it is. */
  kernelBuilds: string[]
  /** The version of NVIDIA's container toolkit; undefined when it cannot be seen from here. */
  nvidiaToolkit: string | undefined
  /** The flaws of runc that the distribution's changelog names as fixed in the version that it ships. */
  fixedInRunc: string[]
  /** Whether /dev/char has links to the nodes of NVIDIA's devices; undefined when it cannot be seen from here. */
  linksGpuNodes: boolean | undefined
}

/**
 * Returns the engine's facts with those of the host. Fields that cannot be seen from here are undefined.
 *
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
    seesPackages && (hasGpus || engine.reportsNvidia) ? toolkitVersion() : undefined,
    seesPackages ? runcChangelog() : '',
    seesPackages ? isLink(CONTROL_LINK) : undefined,
  ])
  return {
    ...engine,
    swapBytes: swapOf(memory),
    kernelBuilds: isHere ? kernelBuilds(version(), signature) : [],
    nvidiaToolkit,
    fixedInRunc: fixedBy(changelog, engine.runc.build),
    linksGpuNodes,
  }
}

/** Returns the swap in /proc/meminfo, in bytes; undefined when it names none. */
export function swapOf(memory: string): number | undefined {
  const kib = /^SwapTotal:\s+(\d+) kB$/m.exec(memory)?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

/** Returns the upstream versions in `uname -v` (Debian) and /proc/version_signature (Ubuntu). */
export function kernelBuilds(uname: string, signature: string): string[] {
  const found = [/\bDebian (\d+\.\d+\.\d+)/.exec(uname)?.[1], / (\d+\.\d+\.\d+)\s*$/.exec(signature)?.[1]]
  return found.filter(build => build !== undefined)
}

/** Returns the flaws that a Debian changelog names, if its newest entry is the build that the engine uses. */
export function fixedBy(changelog: string, build: string): string[] {
  const newest = /^\S+ \(([^)]+)\)/.exec(changelog)?.[1]
  if (newest === undefined || newest !== build) return []
  return [...new Set(changelog.match(/CVE-\d{4}-\d{4,}/g))]
}

/** Returns the version of an installed package in dpkg's status file, without the distribution's own numbering. */
export function packageVersion(status: string, name: string): string | undefined {
  const entry = status.split('\n\n').find(each => each.startsWith(`Package: ${name}\n`))
  if (entry === undefined || !/^Status: .* installed$/m.test(entry)) return undefined
  return /^Version: (?:\d+:)?([^\s-]+)/m.exec(entry)?.[1]
}

async function toolkitVersion(): Promise<string | undefined> {
  const printed = await promisify(execFile)(TOOLKIT_PROGRAM, ['--version'], { timeout: PROGRAM_MS }).catch(
    () => undefined,
  )
  const version = /version (\d\S*)/.exec(printed?.stdout ?? '')?.[1]
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
