/** Watches the free space on the disks that a service and its jobs write to. */
import { stat, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import type { SettingsOf } from '@horde/kit/config'
import { parseDatabaseUrl } from '@horde/kit/database/url'
import type { diskSettings } from '@horde/kit/service-settings'
import type { Watch } from './watches.ts'

const EVERY_MS = 60_000
/** A smaller share of free inodes is a warning, in percent. */
const LOW_INODES_PERCENT = 5
const BYTES_PER_GB = 1e9

export type DiskFolder = {
  /** What is stored there: `database`. */
  of: string
  path: string
  /** Whether the folder may be on another machine or hidden from this process. If it is, no finding is made. */
  mayBeElsewhere?: boolean
  /** The miner's pools that cannot work while the disk is full. */
  pools?: readonly string[]
}

/** Less free space than `lowBytes` is a warning, less than `fullBytes` is bad. */
export type DiskRules = { lowBytes: number; fullBytes: number }

/** Returns the rules that the settings set. */
export function diskRules(
  settings: Pick<SettingsOf<typeof diskSettings>, 'DISK_LOW_BYTES' | 'DISK_FULL_BYTES'>,
): DiskRules {
  return { lowBytes: settings.DISK_LOW_BYTES, fullBytes: settings.DISK_FULL_BYTES }
}

/** Returns the folder of an embedded database; undefined for a database server. */
export function databaseFolder(url: string): string | undefined {
  const target = parseDatabaseUrl(url)
  return 'folder' in target ? target.folder : undefined
}

export function diskWatch(folders: () => Promise<DiskFolder[]>, rules: DiskRules): Watch {
  return { name: 'disk', everyMs: EVERY_MS, look: async () => lookAtDisks(await folders(), rules) }
}

/** Returns one finding for each disk, however many of the folders are on it. */
export async function lookAtDisks(folders: readonly DiskFolder[], rules: DiskRules): Promise<Finding[]> {
  const disks = new Map<number, { path: string; of: string[]; pools: string[] }>()
  for (const { of, path, mayBeElsewhere = false, pools = [] } of folders) {
    const seen = await deviceOf(resolve(path), mayBeElsewhere)
    if (seen === undefined) continue
    const disk = disks.get(seen.device) ?? { path: seen.path, of: [], pools: [] }
    disks.set(seen.device, { ...disk, of: [...disk.of, of], pools: [...new Set([...disk.pools, ...pools])] })
  }
  const look = async ({ path, of, pools }: { path: string; of: string[]; pools: string[] }) => {
    const finding = await lookAtDisk(path, of.join(', '), rules)
    return pools.length > 0 ? { ...finding, pools } : finding
  }
  return Promise.all([...disks.values()].map(look))
}

/** Returns a folder's disk. A folder that does not exist yet will be on the disk of its nearest existing parent. */
async function deviceOf(path: string, mustExist: boolean): Promise<{ device: number; path: string } | undefined> {
  const seen = await stat(path).catch(() => undefined)
  if (seen !== undefined) return { device: seen.dev, path }
  const above = dirname(path)
  return mustExist || above === path ? undefined : deviceOf(above, mustExist)
}

async function lookAtDisk(path: string, of: string, rules: DiskRules): Promise<Finding> {
  const { bavail, blocks, bsize, files, ffree } = await statfs(path)
  // File systems that create inodes on demand report 0 of 0.
  const inodesPercent = files === 0 ? 100 : (100 * ffree) / files
  return diskFinding({ free: bavail * bsize, total: blocks * bsize, inodesPercent }, of, rules)
}

/** Bytes, and the percentage of inodes that are free. */
export type DiskSpace = { free: number; total: number; inodesPercent: number }

export function diskFinding({ free, total, inodesPercent: inodes }: DiskSpace, of: string, rules: DiskRules): Finding {
  const { lowBytes, fullBytes } = rules
  const found = `${gigabytes(free)} of ${gigabytes(total)} free (${of})`
  const more = { measured: free, of }
  if (free < fullBytes) return { ...bad('disk', found, `make room: results and jobs need it`), ...more }
  if (free < lowBytes) return { ...warn('disk', found, 'make room before it is full'), ...more }
  if (inodes >= LOW_INODES_PERCENT) return { ...ok('disk', found), ...more }
  const short = `${found}, but only ${inodes.toFixed(1)} % of its inodes`
  return { ...warn('disk', short, 'remove some of its many small files'), ...more }
}

function gigabytes(bytes: number): string {
  return `${(bytes / BYTES_PER_GB).toFixed(1)} GB`
}
