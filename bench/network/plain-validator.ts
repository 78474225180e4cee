/** The exchange of a batch with simulated miners by nothing but sockets: the yardstick for a validator's clock. */
import { randomUUID } from 'node:crypto'

interface Message {
  message_type: string
  job_uuid: string
  docker_process_stderr: string
}

/**
 * Gives each miner so many jobs over one connection, all at once.
 *
 * @returns by how much each job's time, taken here, differs from the miner's own, in ms
 */
export async function plainErrors(host: string, port: number, miners: number, executors: number): Promise<number[]> {
  const perMiner = await Promise.all(Array.from({ length: miners }, (_, at) => giveJobs(host, port, at, executors)))
  return perMiner.flat()
}

async function giveJobs(host: string, port: number, miner: number, executors: number): Promise<number[]> {
  const ws = new WebSocket(`ws://${host}:${port}/v0.1/validator_interface/plain`)
  await new Promise(resolve => ws.addEventListener('open', resolve))
  const say = (message: object) => ws.send(JSON.stringify(message))
  const sentAt = new Map<string, number>()
  const errors: number[] = []
  const done = Promise.withResolvers<void>()
  ws.addEventListener('message', ({ data }) => {
    const heardAt = performance.now()
    const { message_type, job_uuid, docker_process_stderr } = JSON.parse(String(data)) as Message
    if (message_type === 'V0ExecutorReadyRequest') {
      say({ message_type: 'V0JobRequest', job_uuid, docker_run_cmd: ['plain'], volume: { contents: '' } })
      sentAt.set(job_uuid, performance.now())
    }
    if (message_type !== 'V0JobFinishedRequest') return
    errors.push(Math.abs(heardAt - (sentAt.get(job_uuid) ?? Number.NaN) - Number(docker_process_stderr)))
    if (errors.length === executors) done.resolve()
  })
  say({ message_type: 'V0AuthenticateRequest', payload: { miner_hotkey: `plain ${miner}` } })
  for (let i = 0; i < executors; i += 1) say({ message_type: 'V0InitialJobRequest', job_uuid: randomUUID() })
  await done.promise
  const closed = new Promise(resolve => ws.addEventListener('close', resolve))
  ws.close()
  await closed
  return errors
}
