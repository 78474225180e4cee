/** Serves this executor's /health and /metrics. Loaded only when a setting asks for it; its failure fails no job. */
import { once } from 'node:events'
import { lstat, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { createHttp, type Health } from '@horde/kit/http'
import type { Log } from '@horde/kit/log'
import { createMetrics } from '@horde/kit/metrics'
import type { Metrics } from '@horde/kit/metrics/definitions'
import { addGauges, type ReadGauge } from '@horde/kit/metrics/gauges'
import type { HealthAddress } from './health-address.ts'
import { ANSWERS, STAGES, type Stages } from './stages.ts'

export interface HealthDeps {
  stages: Stages
  /** Whether there is a connection to the miner. */
  isConnected(): boolean
  log: Log
}

/** Rejects when the address is in use or cannot be opened. */
export async function serveHealth(address: HealthAddress, deps: HealthDeps): Promise<AsyncDisposable> {
  const { log } = deps
  const app = createHttp({ log, health: async () => healthOf(deps), metrics: metricsOf(deps) })
  if ('path' in address) await removeStale(address.path)
  log.info({ url: await app.listen(address) }, 'health and metrics are served')
  const close = async () => {
    // A slow client must not delay the executor's exit.
    app.server.closeAllConnections()
    await app.close()
  }
  return { [Symbol.asyncDispose]: close }
}

/** An executor is ready while it is connected to its miner, also in the middle of a job. */
function healthOf({ stages, isConnected }: HealthDeps): Health & { stage: string } {
  const ready = isConnected()
  return { live: true, ready, reasons: ready ? [] : ['no connection to the miner'], stage: stages.current }
}

const METRICS = {
  executor_stage: {
    type: 'gauge',
    labels: ['stage'],
    help: 'Where the executor stands in its job: 1 for that stage, 0 for the others.',
  },
  executor_stage_seconds: {
    type: 'gauge',
    labels: ['stage'],
    help: 'How long the executor was in each stage so far.',
  },
  executor_answers: {
    type: 'gauge',
    labels: ['answer'],
    help: 'How many jobs the executor has answered, by how: at most one.',
  },
} as const satisfies Metrics

function metricsOf({ stages }: HealthDeps) {
  const registry = createMetrics('executor')
  const reads: Record<keyof typeof METRICS, ReadGauge> = {
    executor_stage: () => STAGES.map(stage => [{ stage }, Number(stage === stages.current)]),
    executor_stage_seconds: () => STAGES.map(stage => [{ stage }, stages.secondsIn(stage)]),
    executor_answers: () => ANSWERS.map(answer => [{ answer }, Number(answer === stages.answer)]),
  }
  addGauges(registry, METRICS, reads)
  return registry
}

/** Removes the socket file that a killed process left behind, unless a process still listens on it. */
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
