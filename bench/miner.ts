/** Executors whose start is measured, and who wait for what a measurement says to them. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { withDeadline } from '@horde/kit/time'
import type { Connection, TestMiner } from '@horde/testing/peers/miner-for-executors'

/** How long one step may take, in milliseconds. */
export const STEP_MS = 60_000

/** An executor that has just connected. */
export interface Arrival {
  process: ChildProcess
  socket: Connection
  /** From the start of its process to its connection, in milliseconds. */
  connectedMs: number
}

/** Starts an executor, with more settings, and waits until it is there. */
export async function startExecutor(miner: TestMiner, more: Record<string, string> = {}): Promise<Arrival> {
  const started = performance.now()
  const executor = miner.spawn({ LOG_LEVEL: 'error', ...more })
  const socket = await executor.connection()
  return { process: executor.process, socket, connectedMs: performance.now() - started }
}

/** Starts one that is kept warm, and waits until all is done that can be before an offer. */
export async function startWarmExecutor(miner: TestMiner): Promise<Arrival> {
  const started = performance.now()
  const executor = miner.spawn({ PREPARE_AHEAD: 'true', LOG_LEVEL: 'info' })
  const socket = await executor.connection()
  const connectedMs = performance.now() - started
  const isPrepared = async () => {
    const { stdout } = executor.process
    while (!executor.log.includes('prepared ahead of the offer') && stdout) await once(stdout, 'data')
  }
  await withDeadline(isPrepared(), STEP_MS, 'preparing ahead')
  return { process: executor.process, socket, connectedMs }
}
