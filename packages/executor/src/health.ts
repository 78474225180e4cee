/** /health and /metrics of this executor. Loaded only where a setting asks for them, and never worth a job. */
import { once } from 'node:events'
import { lstat, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { createHttp, type Health } from '@horde/kit/http'
import type { Log } from '@horde/kit/log'
import { addGauge, createMetrics } from '@horde/kit/metrics/registry'
import type { HealthAddress } from './health-address.ts'
import { ANSWERS, type JobProgress, STAGES } from './job/job-progress.ts'

export interface HealthDeps {
  progress: JobProgress
  /** Whether there is a connection to the miner. */
  isConnected(): boolean
  log: Log
}

/** Rejects when the address is in use, or cannot be had. */
export async function serveHealth(address: HealthAddress, deps: HealthDeps): Promise<AsyncDisposable> {
  const { log } = deps
  const app = createHttp({ log, health: async () => healthOf(deps), metrics: metricsOf(deps) })
  if ('path' in address) await removeStale(address.path)
  log.info({ url: await app.listen(address) }, 'health and metrics are served')
  const close = async () => {
    // A client that takes its time must not hold up the executor's end.
    app.server.closeAllConnections()
    await app.close()
  }
  return { [Symbol.asyncDispose]: close }
}

/** In the middle of a job an executor is as ready as it can be: what it needs is its miner. */
function healthOf({ progress, isConnected }: HealthDeps): Health & { stage: string } {
  const ready = isConnected()
  return { live: true, ready, reasons: ready ? [] : ['no connection to the miner'], stage: progress.stage }
}

function metricsOf({ progress }: HealthDeps) {
  const registry = createMetrics('executor')
  addGauge(registry, {
    name: 'executor_stage',
    help: 'Where the executor stands in its job: 1 for that stage, 0 for the others.',
    label: 'stage',
    read: () => STAGES.map(stage => [stage, stage === progress.stage ? 1 : 0]),
  })
  addGauge(registry, {
    name: 'executor_stage_seconds',
    help: 'How long the executor was in each stage so far.',
    label: 'stage',
    read: () => STAGES.map(stage => [stage, progress.secondsIn(stage)]),
  })
  addGauge(registry, {
    name: 'executor_answers',
    help: 'How many jobs the executor has answered, by how: at most one.',
    label: 'answer',
    read: () => ANSWERS.map(answer => [answer, answer === progress.answer ? 1 : 0]),
  })
  return registry
}

/** The socket of a process that was killed stays, and nobody listens on it. */
async function removeStale(path: string): Promise<void> {
  const socket = connect(path)
  const code = await once(socket, 'connect').then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  )
  socket.destroy()
  const isSocket = (await lstat(path).catch(() => undefined))?.isSocket() ?? false
  if (code === 'ECONNREFUSED' && isSocket) await rm(path, { force: true })
}
