/** Checks the outcome of a chaos run, and describes each problem in a sentence. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { isFinal, type JobState } from '@horde/protocol/job-state'
import type { FaultCounts } from './inject-faults.ts'
import type { JobOutcome } from './run-jobs.ts'

const run = promisify(execFile)

/** A job as the miner's database has it. */
export interface MinerJob {
  uuid: string
  state: JobState
  reason: string | null
}

/** The reasons that a job may end with when its executor was killed. */
const EXECUTOR_DIED = ['executor-exited', 'executor-lost', 'executor-not-started']

/** Returns a sentence for each job that was lost, ended twice, or ended otherwise than the miner's database says. */
export function findProblems(
  outcomes: readonly JobOutcome[],
  minerJobs: readonly MinerJob[],
  faults: FaultCounts,
): string[] {
  const problems: string[] = []
  const minerJobOf = new Map(minerJobs.map(job => [job.uuid, job]))
  const endCounts = new Map<string, number>()
  for (const { uuid } of outcomes) endCounts.set(uuid, (endCounts.get(uuid) ?? 0) + 1)
  for (const [uuid, count] of endCounts) if (count !== 1) problems.push(`job ${uuid} ended ${count} times`)
  for (const outcome of outcomes.filter(({ wasAccepted }) => wasAccepted))
    problems.push(...problemsOf(outcome, minerJobOf.get(outcome.uuid)))
  for (const { uuid, state } of minerJobs) {
    if (!isFinal(state)) problems.push(`at the miner job ${uuid} is still ${state}`)
    if (!endCounts.has(uuid)) problems.push(`the miner has job ${uuid}, which no validator offered`)
  }
  const died = minerJobs.filter(({ reason }) => EXECUTOR_DIED.includes(reason ?? '')).length
  if (died > faults.executorKills) {
    problems.push(`${died} jobs lost their executor, but only ${faults.executorKills} executors were killed`)
  }
  return problems
}

function problemsOf({ uuid, end, isRight }: JobOutcome, minerJob: MinerJob | undefined): string[] {
  const { state, reason, stdout, stderr } = end
  if (minerJob === undefined) return [`the miner accepted job ${uuid}, but its database does not have it`]
  if (state === 'finished') {
    return isRight && minerJob.state === 'finished'
      ? []
      : [`job ${uuid} finished with ${JSON.stringify(stdout)}, but is ${minerJob.state} at the miner`]
  }
  // A job that is broken at the miner reaches a validator as one that failed without an exit status.
  const lostItsExecutor = minerJob.state === 'broken' && EXECUTOR_DIED.includes(minerJob.reason ?? '')
  const description = `${state} (${reason}: ${stderr?.trim()}), at the miner ${minerJob.state} (${minerJob.reason})`
  return lostItsExecutor ? [] : [`job ${uuid} is ${description}`]
}

/** Returns a sentence for each container and volume of these jobs that the engine still has. */
export async function orphansInEngine(outcomes: readonly JobOutcome[]): Promise<string[]> {
  const uuids = new Set(outcomes.map(({ uuid }) => uuid))
  const format = ['--format', '{{.Label "compute-horde.job"}}']
  const labels = async (...args: string[]) => (await run('docker', [...args, ...format])).stdout.split('\n')
  const containers = await labels('ps', '-a')
  const volumes = await labels('volume', 'ls')
  return [
    ...containers.filter(label => uuids.has(label)).map(label => `a container of job ${label} still exists`),
    ...volumes.filter(label => uuids.has(label)).map(label => `a volume of job ${label} still exists`),
  ]
}
