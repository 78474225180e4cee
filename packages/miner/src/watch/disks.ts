/**
 * The disks that pools need: of the database, of temporary files, and of the images of each engine. This machine's are looked
 * at here, all others by a short container there.
 */
import { access } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { type EngineAddress, engineUrl } from '@horde/engine/engine-address'
import { parseDatabaseUrl } from '@horde/kit/database/url'
import { type DiskFolder, type DiskRoom, type DiskRules, diskFinding, lookAtDisks } from '@horde/kit/watch/disk'
import { type Finding, unknown } from '@horde/kit/watch/finding'
import type { Watch } from '@horde/kit/watch/watches'
import type { MinerConfig } from '../config.ts'
import type { ExecutorManager } from '../horde/manager.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'
import { AGAIN_MS, aboutPools } from './pools.ts'

const EVERY_MS = 60_000
const BYTES_PER_BLOCK = 1024
/** What `df -Pk` says of one file system: its name, its size, what is used and what is free. */
const DF_LINE = /^\S.*?\s(\d+)\s+\d+\s+(\d+)\s+\d+%\s/m

type ManagedPool = { settings: PoolSettings; manager: ExecutorManager }

export function poolDiskWatch(pools: () => readonly ManagedPool[], config: MinerConfig): Watch {
  const rules = diskRules(config)
  const look = async (): Promise<Finding[]> => {
    const all = pools()
    const folders = await diskFolders(
      config,
      all.map(({ settings }) => settings),
    )
    const seen = new Set(folders.flatMap(({ engine }) => engine ?? []))
    const [here, elsewhere] = await Promise.all([lookAtDisks(folders, rules), lookElsewhere(all, seen, rules)])
    return [...here, ...elsewhere]
  }
  return { name: 'disk', everyMs: EVERY_MS, againMs: AGAIN_MS, look }
}

export function diskRules(config: MinerConfig): DiskRules {
  return { lowBytes: config.DISK_LOW_BYTES, fullBytes: config.DISK_FULL_BYTES }
}

/** `engine`: whose images lie there. */
type PoolFolder = DiskFolder & { engine?: string }

/** Folders of this machine. An engine that does not answer is another watch's business. */
export async function diskFolders(config: MinerConfig, pools: readonly PoolSettings[]): Promise<PoolFolder[]> {
  const target = parseDatabaseUrl(config.databaseUrl)
  const folder = 'folder' in target ? target.folder : undefined
  const all = pools.map(({ name }) => name)
  const byProcess = pools.filter(({ manager }) => manager === 'process')
  const images = [...enginesHere(pools)].map(async ([url, { engine, names }]): Promise<PoolFolder[]> => {
    const path = await imagesFolder(engine).catch(() => undefined)
    return path === undefined ? [] : [{ of: 'images', path, mayBeElsewhere: true, pools: names, engine: url }]
  })
  return [
    ...(folder === undefined ? [] : [{ of: 'database', path: folder, pools: all }]),
    { of: 'temporary files', path: tmpdir(), pools: byProcess.map(({ name }) => name) },
    ...config.DISK_FOLDERS.map(path => ({ of: path, path, pools: all })),
    ...(await Promise.all(images)).flat(),
  ]
}

/** The engines of this machine that pools use, by their address, each with the names of its pools. */
function enginesHere(pools: readonly PoolSettings[]): Map<string, { engine: EngineAddress; names: string[] }> {
  const engines = new Map<string, { engine: EngineAddress; names: string[] }>()
  for (const { name, manager, engine } of pools) {
    if (manager !== 'docker' || !('socket' in engine)) continue
    const names = [...(engines.get(engineUrl(engine))?.names ?? []), name]
    engines.set(engineUrl(engine), { engine, names })
  }
  return engines
}

/** Undefined: it is not on this machine, or hidden from this process. */
async function imagesFolder(engine: EngineAddress): Promise<string | undefined> {
  const { connectEngine } = await import('@horde/engine/connect')
  await using client = await connectEngine(engine)
  const { dataFolder } = await client.facts()
  const folder = dataFolder || '/'
  return access(folder).then(
    () => folder,
    () => undefined,
  )
}

/** @param seen the engines whose disk was looked at from here */
async function lookElsewhere(pools: readonly ManagedPool[], seen: ReadonlySet<string>, rules: DiskRules) {
  const engines = new Map<string, { manager: ExecutorManager; names: string[] }>()
  for (const { settings, manager } of pools) {
    const url = engineUrl(settings.engine)
    if (settings.manager !== 'docker' || manager.probe === undefined || seen.has(url)) continue
    const known = engines.get(url) ?? { manager, names: [] }
    engines.set(url, { ...known, names: [...known.names, settings.name] })
  }
  const looks = [...engines].map(async ([url, { manager, names }]) => {
    return aboutPools(names, [await lookThere(url, manager, rules)])
  })
  return (await Promise.all(looks)).flat()
}

async function lookThere(url: string, manager: ExecutorManager, rules: DiskRules): Promise<Finding> {
  try {
    const result = await manager.probe?.({ command: ['df', '-Pk', '/tmp'], gpus: [] })
    const room = result && 'output' in result ? roomOf(result.output) : undefined
    if (room) return diskFinding(room, `images on ${url}`, rules)
    return unknown('disk', `how full the disk of ${url} is could not be told`, 'see whether the executor image has df')
  } catch (error) {
    const found = `the disk of ${url} could not be looked at: ${(error as Error).message}`
    return unknown('disk', found, 'see what else is said of that engine')
  }
}

/** What `df -Pk` has told; it tells nothing of inodes. */
export function roomOf(output: string): DiskRoom | undefined {
  const [, total, free] = DF_LINE.exec(output) ?? []
  if (total === undefined || free === undefined) return undefined
  return { free: Number(free) * BYTES_PER_BLOCK, total: Number(total) * BYTES_PER_BLOCK, inodesPercent: 100 }
}
