/** The command `jobs`: lists the jobs that were offered last, from the database or from the running miner. */
import { DatabaseError, openDatabase } from '@horde/kit/database'
import { schemaState } from '@horde/kit/database/schema-state'
import { createLog } from '@horde/kit/log'
import { askAdminPort } from '@horde/operator/admin/ask-admin-port'
import { DATABASE_CONNECT_MS } from '@horde/operator/check/database'
import { textTable } from '@horde/operator/command-line/text-table'
import { type MinerConfig, readMinerConfig } from '../config.ts'
import { lastJobs } from '../db/jobs.ts'
import { migrationsFolder } from '../db/migrations.ts'
import { type JobEndJson, jobEndJson } from '../operator/status-json.ts'
import type { CommandDeps, JobsWanted } from './command-line.ts'

/** How many characters of a uuid and of a hotkey are printed. */
const UUID_SHOWN = 36
const HOTKEY_SHOWN = 10

export async function listJobs(wanted: JobsWanted, deps: CommandDeps, signal: AbortSignal): Promise<number> {
  const { environment, print, complain, databaseConnectMs = DATABASE_CONNECT_MS } = deps
  const config = readMinerConfig(environment)
  const jobs = await jobsOf(config, wanted, databaseConnectMs, signal)
  if (typeof jobs === 'string') {
    complain(`${jobs}\n`)
    return 1
  }
  print(wanted.json ? `${JSON.stringify({ jobs })}\n` : jobsTable(jobs))
  return 0
}

/** Returns the jobs, or why they cannot be read. */
async function jobsOf(
  config: MinerConfig,
  wanted: JobsWanted,
  connectWithinMs: number,
  signal: AbortSignal,
): Promise<JobEndJson[] | string> {
  const log = createLog('miner', { level: 'warn', destination: process.stderr })
  try {
    await using database = await openDatabase({ url: config.databaseUrl, log, signal, connectWithinMs })
    const { pending, refusal } = await schemaState(database.db, migrationsFolder)
    if (refusal !== undefined) return refusal
    if (pending.length > 0)
      return `its tables are not up to date: the next start of the miner sees to that (${pending.join(', ')})`
    return (await lastJobs(database.db, wanted.last, wanted.state ? [wanted.state] : [])).map(jobEndJson)
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    if (error.problem === 'missing') return []
    if (error.problem !== 'in use') return error.message
    return jobsOfMiner(config, wanted, `${error.message}`)
  }
}

async function jobsOfMiner(
  config: MinerConfig,
  { last, state }: JobsWanted,
  why: string,
): Promise<JobEndJson[] | string> {
  const path = `/jobs.json?last=${last}${state ? `&state=${state}` : ''}`
  const asked = await askAdminPort<{ jobs: JobEndJson[] }>(config, path)
  return 'problem' in asked ? `${why}, and its admin port ${asked.problem}` : asked.answer.jobs
}

function jobsTable(jobs: readonly JobEndJson[]): string {
  const rows = jobs.map(job => [
    job.offeredAt.slice(0, 19).replace('T', ' '),
    job.uuid.slice(0, UUID_SHOWN),
    job.state,
    job.reason ?? '',
    job.seconds === null ? '–' : job.seconds.toFixed(1),
    job.executorClass,
    `${job.validator.slice(0, HOTKEY_SHOWN)}…`,
    job.image ?? '',
  ])
  return textTable([['offered, UTC', 'job', 'state', 'reason', 'seconds', 'class', 'validator', 'image'], ...rows])
}
