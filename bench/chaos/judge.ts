/** What must be true of a run of chaos, and a sentence for each thing that is not. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { JobState } from '@horde/protocol/job-state'
import type { Troubles } from './trouble.ts'
import type { Given } from './validator.ts'

const run = promisify(execFile)

/** What the miner's database says of a job. */
export interface MinersView {
  uuid: string
  state: JobState
  reason: string | null
}

/** Ends that only the death of an executor explains. */
const EXECUTOR_DIED = ['executor-exited', 'executor-lost', 'executor-not-started']

export function judge(given: readonly Given[], miners: readonly MinersView[], troubles: Troubles): string[] {
  const complaints: string[] = []
  const views = new Map(miners.map(view => [view.uuid, view]))
  const ends = new Map<string, number>()
  for (const { uuid } of given) ends.set(uuid, (ends.get(uuid) ?? 0) + 1)
  for (const [uuid, count] of ends) if (count !== 1) complaints.push(`job ${uuid} ended ${count} times`)
  for (const job of given.filter(({ wasAccepted }) => wasAccepted))
    complaints.push(...wrongWith(job, views.get(job.uuid)))
  for (const { uuid, state } of miners) {
    if (['offered', 'accepted', 'ready', 'running'].includes(state))
      complaints.push(`the miner has job ${uuid} still ${state}`)
    if (!ends.has(uuid)) complaints.push(`nobody gave the miner job ${uuid}`)
  }
  const died = miners.filter(({ reason }) => EXECUTOR_DIED.includes(reason ?? '')).length
  if (died > troubles.executorKills) {
    complaints.push(`${died} jobs lost their executor, and ${troubles.executorKills} executors were killed`)
  }
  return complaints
}

function wrongWith({ uuid, end, isRight }: Given, view: MinersView | undefined): string[] {
  const { state, reason, stdout, stderr } = end
  if (view === undefined) return [`job ${uuid} was accepted, and the miner does not know it`]
  if (state === 'finished') {
    const isKnown = view.state === 'finished'
    return isRight && isKnown
      ? []
      : [`job ${uuid}: finished with ${JSON.stringify(stdout)}, ${view.state} at the miner`]
  }
  // To a validator a job that its miner calls broken is failed without an exit status.
  const isExplained = view.state === 'broken' && EXECUTOR_DIED.includes(view.reason ?? '')
  const words = `${state} (${reason}: ${stderr?.trim()}), at the miner ${view.state} (${view.reason})`
  return isExplained ? [] : [`job ${uuid}: ${words}`]
}

/** What is left of the jobs in the engine. */
export async function leftIn(given: readonly Given[]): Promise<string[]> {
  const uuids = new Set(given.map(({ uuid }) => uuid))
  const format = ['--format', '{{.Label "compute-horde.job"}}']
  const labels = async (...args: string[]) => (await run('docker', [...args, ...format])).stdout.split('\n')
  const left = [...(await labels('ps', '-a')), ...(await labels('volume', 'ls'))]
  return left
    .filter(label => uuids.has(label as Given['uuid']))
    .map(label => `something of job ${label} is left in the engine`)
}
