/** Runs jobs on simulated miners over bare sockets, as a yardstick for the times that a validator measures. */
import { randomUUID } from 'node:crypto'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { SIMULATED } from './simulated-dialects.ts'

interface Message {
  message_type: string
  job_uuid: string
  docker_process_stderr: string
}

/**
 * Runs one job for each executor, all at once, over one connection for each miner.
 *
 * @returns for each job, the difference between the time measured here and the time that the miner measured, in ms
 */
export async function bareSocketErrors(
  host: string,
  port: number,
  dialect: Dialect,
  miners: number,
  executors: number,
): Promise<number[]> {
  const perMiner = await Promise.all(
    Array.from({ length: miners }, (_, at) => runJobs(host, port, dialect, at, executors)),
  )
  return perMiner.flat()
}

async function runJobs(
  host: string,
  port: number,
  dialect: Dialect,
  miner: number,
  executors: number,
): Promise<number[]> {
  const ws = new WebSocket(`ws://${host}:${port}/v0.1/validator_interface/bare`)
  await new Promise(resolve => ws.addEventListener('open', resolve))
  const send = (message: object) => ws.send(JSON.stringify(message))
  const sentAt = new Map<string, number>()
  const errors: number[] = []
  const done = Promise.withResolvers<void>()
  ws.addEventListener('message', ({ data }) => {
    const receivedAt = performance.now()
    const { message_type, job_uuid, docker_process_stderr } = JSON.parse(String(data)) as Message
    if (message_type === 'V0ExecutorReadyRequest') {
      send({ message_type: 'V0JobRequest', job_uuid, docker_run_cmd: ['bare'], volume: { contents: '' } })
      sentAt.set(job_uuid, performance.now())
    }
    if (message_type !== 'V0JobFinishedRequest') return
    errors.push(Math.abs(receivedAt - (sentAt.get(job_uuid) ?? Number.NaN) - Number(docker_process_stderr)))
    if (errors.length === executors) done.resolve()
  })
  const miner_hotkey = `bare ${miner}`
  send({ message_type: SIMULATED[dialect].authentication, payload: { miner_hotkey }, miner_hotkey })
  for (let i = 0; i < executors; i += 1) send({ message_type: 'V0InitialJobRequest', job_uuid: randomUUID() })
  await done.promise
  const closed = new Promise(resolve => ws.addEventListener('close', resolve))
  ws.close()
  await closed
  return errors
}
