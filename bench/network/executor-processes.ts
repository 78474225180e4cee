import { readdir, readFile } from 'node:fs/promises'

/** Returns the pids of a miner's running executors. */
export async function executorPids(minerHotkey: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const isOwned = await Promise.all(
    pids.map(async pid => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      return environment.split('\0').includes(`COMPUTE_HORDE_MINER=${minerHotkey}`)
    }),
  )
  return pids.filter((_, at) => isOwned[at])
}
