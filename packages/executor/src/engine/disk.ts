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
 * Looks at the disk behind the engine's data folder. From within a container that folder is not to be seen, but the
 * container's own root lies on the same disk.
 *
 * @param dataFolder DockerRootDir, as the engine tells it
 */
export async function engineDisk(dataFolder: string): Promise<DiskUse> {
  const seen = await statfs(dataFolder).catch(() => statfs('/'))
  return {
    bytes: seen.blocks * seen.bsize,
    freeBytes: seen.bavail * seen.bsize,
    inodes: seen.files,
    freeInodes: seen.ffree,
  }
}
