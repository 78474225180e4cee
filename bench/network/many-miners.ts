/**
 * Simulates many miners in one process, as cheaply as possible. They accept every offer, are ready after a random time,
 * and send the result after another one. The stderr of a result is the time that the job took, in ms. As real miners
 * do, they keep a result until the validator has read it, and recognise a job that is offered again. The process prints
 * its port, and exits when its stdin ends.
 *
 * Command: `node bench/network/many-miners.ts <executors of each> [--print-completed] [--work S]`
 *   --print-completed  prints the uuid of each completed job
 *   --work S           lets a job take S seconds at most, and a sixth of that at least
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'

/** A loopback address that the chain accepts, unlike 127.0.0.1. */
const HOST = '127.0.0.2'
/** The ranges of the random times until an executor is ready, and until it has done its work, in ms. */
const READY_MS = [50, 1_000] as const
const SHORT_WORK_MS = [500, 3_000] as const
/** The payload in the input of an echo job: a uuid. */
const PAYLOAD = /[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}/

interface Message {
  message_type: string
  job_uuid: string
  docker_run_cmd?: string[]
  volume?: { contents: string }
  payload?: { miner_hotkey: string }
}

interface Job {
  miner: string
  state: 'preparing' | 'ready' | 'running' | 'undelivered' | 'delivered'
  answer?: object
}

const executors = Number(process.argv[2] ?? 1)
const printsCompleted = process.argv.includes('--print-completed')
const workAt = process.argv.indexOf('--work')
const longestMs = workAt < 0 ? undefined : Number(process.argv[workAt + 1]) * 1000
const workMs = longestMs === undefined ? SHORT_WORK_MS : ([longestMs / 6, longestMs] as const)
const jobs = new Map<string, Job>()
/** Sends to the validator on the newest connection of a miner, by the miner's hotkey. */
const senders = new Map<string, (message: object) => void>()
const randomBetween = ([min, max]: readonly [number, number]) => min + Math.random() * (max - min)
const server = createServer()
const router = upgradeRouter(server, { log: silentLog })

router.onUpgrade(/^\/v0\.1\/validator_interface\//, ws => {
  let miner = ''
  /** Jobs whose result was sent, and not yet acknowledged by a pong. */
  const unacknowledged: Job[] = []
  const send = (message: object) => ws.send(JSON.stringify(message))
  /** Sends a result and a ping. The pong shows that the validator has read the result. */
  const deliver = (job: Job) => {
    send(job.answer ?? {})
    unacknowledged.push(job)
    ws.ping()
  }
  ws.on('pong', () => {
    for (const job of unacknowledged.splice(0)) job.state = 'delivered'
  })

  const greet = (hotkey: string) => {
    miner = hotkey
    senders.set(miner, send)
    const executor_classes = [{ executor_class: 'always_on.test', count: executors }]
    send({ message_type: 'V0ExecutorManifestRequest', manifest: { executor_classes } })
    for (const [job_uuid, job] of jobs) {
      if (job.miner !== miner) continue
      if (job.state === 'ready') send({ message_type: 'V0ExecutorReadyRequest', job_uuid })
      if (job.state === 'undelivered') deliver(job)
    }
  }

  const accept = (job_uuid: string) => {
    const known = jobs.get(job_uuid)
    if (known?.answer) return deliver(known)
    send({ message_type: 'V0AcceptJobRequest', job_uuid })
    if (known) return
    const job: Job = { miner, state: 'preparing' }
    jobs.set(job_uuid, job)
    setTimeout(() => {
      job.state = 'ready'
      senders.get(miner)?.({ message_type: 'V0ExecutorReadyRequest', job_uuid })
    }, randomBetween(READY_MS))
  }

  const work = ({ job_uuid, docker_run_cmd, volume }: Message, receivedAt: number) => {
    const job = jobs.get(job_uuid)
    if (job?.state !== 'ready') return
    job.state = 'running'
    const input = Buffer.from(volume?.contents ?? '', 'base64').toString('latin1')
    const answer = docker_run_cmd?.[0] ?? PAYLOAD.exec(input)?.[0] ?? ''
    setTimeout(() => {
      const docker_process_stderr = String(performance.now() - receivedAt)
      job.answer = {
        message_type: 'V0JobFinishedRequest',
        job_uuid,
        docker_process_stdout: answer,
        docker_process_stderr,
      }
      job.state = 'undelivered'
      if (printsCompleted) process.stdout.write(`${job_uuid}\n`)
      if (ws.readyState === ws.OPEN) deliver(job)
      else senders.get(miner)?.(job.answer)
    }, randomBetween(workMs))
  }

  ws.on('message', data => {
    const receivedAt = performance.now()
    const message = JSON.parse(String(data)) as Message
    if (message.message_type === 'V0AuthenticateRequest') greet(message.payload?.miner_hotkey ?? '')
    if (message.message_type === 'V0InitialJobRequest') accept(message.job_uuid)
    if (message.message_type === 'V0JobRequest') work(message, receivedAt)
  })
})

server.listen(0, HOST, () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
process.stdin.resume()
process.stdin.on('end', () => process.exit())
