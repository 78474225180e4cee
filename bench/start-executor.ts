/** Starts real executors for a measurement, and measures how long they take to connect. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { withDeadline } from '@horde/kit/time'
import type { Connection, TestMiner } from '@horde/testing/peers/miner-for-executors'

/** How long one step of a job may take, in ms. */
export const STEP_MS = 60_000

export interface ConnectedExecutor {
  process: ChildProcess
  socket: Connection
  /** From the start of its process to its connection, in ms. */
  connectedMs: number
}

/** Starts a cold executor, and resolves once it has connected. */
export async function startExecutor(miner: TestMiner): Promise<ConnectedExecutor> {
  const started = performance.now()
  const executor = miner.spawn({ LOG_LEVEL: 'error' })
  const socket = await executor.connection()
  return { process: executor.process, socket, connectedMs: performance.now() - started }
}

/** Starts a warm executor, and resolves once it has prepared everything that it can before an offer. */
export async function startWarmExecutor(miner: TestMiner): Promise<ConnectedExecutor> {
  const started = performance.now()
  const executor = miner.spawn({ PREPARE_AHEAD: 'true', LOG_LEVEL: 'info' })
  const socket = await executor.connection()
  const connectedMs = performance.now() - started
  const untilPrepared = async () => {
    const { stdout } = executor.process
    while (!executor.log.includes('prepared ahead of the offer') && stdout) await once(stdout, 'data')
  }
  await withDeadline(untilPrepared(), STEP_MS, 'preparing ahead')
  return { process: executor.process, socket, connectedMs }
}
