/** How full the disk is that the engine keeps images and containers on. */
import { statfs } from 'node:fs/promises'

export interface DiskUse {
  /** What the disk holds in all, and what is free of it, in bytes. */
  bytes: number
  freeBytes: number
  /** The same in inodes; both 0 where the file system makes them as it needs them. */
  inodes: number
  freeInodes: number
}

/**
 * Looks at the disk behind the engine's data folder.
 *
 * @param dataFolder DockerRootDir, as the engine tells it
 */
export async function engineDisk(dataFolder: string): Promise<DiskUse> {
  const seen = await look(dataFolder)
  return {
    bytes: seen.blocks * seen.bsize,
    freeBytes: seen.bavail * seen.bsize,
    inodes: seen.files,
    freeInodes: seen.ffree,
  }
}

/** How full that disk is, 0 to 100, as df says it: what is kept for root counts neither way. */
export async function usedPercent(dataFolder: string): Promise<number> {
  const { blocks, bfree, bavail } = await look(dataFolder)
  const used = blocks - bfree
  return used === 0 ? 0 : (100 * used) / (used + bavail)
}

/** From within a container the engine's folder is not to be seen, but the container's own root lies on the same disk. */
function look(dataFolder: string) {
  return statfs(dataFolder).catch(() => statfs('/'))
}
