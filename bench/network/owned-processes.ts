import { readdir, readFile } from 'node:fs/promises'

/** The executors of a miner that run now, as pids. */
export async function executorsOf(owner: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const owned = await Promise.all(
    pids.map(async pid => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      return environment.split('\0').includes(`COMPUTE_HORDE_MINER=${owner}`)
    }),
  )
  return pids.filter((_, at) => owned[at])
}
