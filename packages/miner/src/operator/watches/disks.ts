/**
 * Watches the disks that pools need: of the database, of temporary files, and of each engine's images. A disk of this
 * machine is read directly, any other by a short-lived container on its host.
 */
import { access } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { type EngineAddress, engineUrl } from '@horde/engine/engine-address'
import { type Finding, unknown } from '@horde/kit/check/finding'
import {
  type DiskFolder,
  type DiskRules,
  type DiskSpace,
  databaseFolder,
  diskFinding,
  diskRules,
  lookAtDisks,
} from '@horde/operator/watch/disk'
import type { Watch } from '@horde/operator/watch/watches'
import type { MinerConfig } from '../../config.ts'
import type { ExecutorManager } from '../../horde/manager.ts'
import type { PoolSettings } from '../../horde/pools/pool-settings.ts'
import { AGAIN_MS, aboutPools } from './pools.ts'

const EVERY_MS = 60_000
const BYTES_PER_BLOCK = 1024
/** One line of `df -Pk`: the file system, its size, its used and its free space. */
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

/** `engine`: the address of the engine whose images are there. */
type PoolFolder = DiskFolder & { engine?: string }

/** Returns the folders on this machine. Leaves out an engine that does not answer: another watch reports it. */
export async function diskFolders(config: MinerConfig, pools: readonly PoolSettings[]): Promise<PoolFolder[]> {
  const folder = databaseFolder(config.databaseUrl)
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

/** Returns the engines of this machine that pools use, by address, each with the names of its pools. */
function enginesHere(pools: readonly PoolSettings[]): Map<string, { engine: EngineAddress; names: string[] }> {
  const engines = new Map<string, { engine: EngineAddress; names: string[] }>()
  for (const { name, manager, engine } of pools) {
    if (manager !== 'docker' || !('socket' in engine)) continue
    const names = [...(engines.get(engineUrl(engine))?.names ?? []), name]
    engines.set(engineUrl(engine), { engine, names })
  }
  return engines
}

/** Returns undefined when the folder is on another machine or hidden from this process. */
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

/** @param seen the engines whose disks this process can read itself */
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
    return unknown('disk', `how full the disk of ${url} is could not be read`, 'see whether the executor image has df')
  } catch (error) {
    const found = `the disk of ${url} could not be looked at: ${(error as Error).message}`
    return unknown('disk', found, 'see what else is reported of that engine')
  }
}

/** Reads the output of `df -Pk`, which does not report inodes. Returns undefined for any other output. */
export function roomOf(output: string): DiskSpace | undefined {
  const [, total, free] = DF_LINE.exec(output) ?? []
  if (total === undefined || free === undefined) return undefined
  return { free: Number(free) * BYTES_PER_BLOCK, total: Number(total) * BYTES_PER_BLOCK, inodesPercent: 100 }
}
