/**
 * Many miners in one process, as cheap as they can be: they accept every offer, are ready after a moment, and answer the
 * work after another one. What an answer's stderr says is how long it took them, in ms. Like real ones they keep what they
 * have to say until it was read, and know a job that is offered again. Prints its port, and with `--tell` each job that it
 * has done; with `--work` it works for up to so many seconds, and a sixth of that at least; ends with its stdin.
 *
 * Command: `node bench/network/many-miners.ts <executors of each> [--tell] [--work S]`
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'

/** Loopback, and an address that the chain takes. */
const HOST = '127.0.0.2'
/** How long an executor takes to be ready, and to do its work: something between, in ms. */
const READY_MS = [50, 1_000] as const
const SHORT_WORK_MS = [500, 3_000] as const
/** What an echo job has in its input. */
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
  state: 'preparing' | 'waiting' | 'working' | 'due' | 'delivered'
  answer?: object
}

const executors = Number(process.argv[2] ?? 1)
const tells = process.argv.includes('--tell')
const longest = process.argv.indexOf('--work')
const longestMs = longest < 0 ? undefined : Number(process.argv[longest + 1]) * 1000
const workMs = longestMs === undefined ? SHORT_WORK_MS : ([longestMs / 6, longestMs] as const)
const jobs = new Map<string, Job>()
/** The newest connection of each miner's validator. */
const says = new Map<string, (message: object) => void>()
const between = ([min, max]: readonly [number, number]) => min + Math.random() * (max - min)
const server = createServer()
const router = upgradeRouter(server, { log: silentLog })

router.onUpgrade(/^\/v0\.1\/validator_interface\//, ws => {
  let miner = ''
  const said: Job[] = []
  const say = (message: object) => ws.send(JSON.stringify(message))
  /** A result that was read is delivered: a pong behind it says so. */
  const deliver = (job: Job) => {
    say(job.answer ?? {})
    said.push(job)
    ws.ping()
  }
  ws.on('pong', () => {
    for (const job of said.splice(0)) job.state = 'delivered'
  })

  const greet = (hotkey: string) => {
    miner = hotkey
    says.set(miner, message => say(message))
    const executor_classes = [{ executor_class: 'always_on.test', count: executors }]
    say({ message_type: 'V0ExecutorManifestRequest', manifest: { executor_classes } })
    for (const [job_uuid, job] of jobs) {
      if (job.miner !== miner) continue
      if (job.state === 'waiting') say({ message_type: 'V0ExecutorReadyRequest', job_uuid })
      if (job.state === 'due') deliver(job)
    }
  }

  const accept = (job_uuid: string) => {
    const known = jobs.get(job_uuid)
    if (known?.answer) return deliver(known)
    say({ message_type: 'V0AcceptJobRequest', job_uuid })
    if (known) return
    const job: Job = { miner, state: 'preparing' }
    jobs.set(job_uuid, job)
    setTimeout(() => {
      job.state = 'waiting'
      says.get(miner)?.({ message_type: 'V0ExecutorReadyRequest', job_uuid })
    }, between(READY_MS))
  }

  const work = ({ job_uuid, docker_run_cmd, volume }: Message, heardAt: number) => {
    const job = jobs.get(job_uuid)
    if (job?.state !== 'waiting') return
    job.state = 'working'
    const input = Buffer.from(volume?.contents ?? '', 'base64').toString('latin1')
    const answer = docker_run_cmd?.[0] ?? PAYLOAD.exec(input)?.[0] ?? ''
    setTimeout(() => {
      const docker_process_stderr = String(performance.now() - heardAt)
      job.answer = {
        message_type: 'V0JobFinishedRequest',
        job_uuid,
        docker_process_stdout: answer,
        docker_process_stderr,
      }
      job.state = 'due'
      if (tells) process.stdout.write(`${job_uuid}\n`)
      if (ws.readyState === ws.OPEN) deliver(job)
      else says.get(miner)?.(job.answer)
    }, between(workMs))
  }

  ws.on('message', data => {
    const heardAt = performance.now()
    const message = JSON.parse(String(data)) as Message
    if (message.message_type === 'V0AuthenticateRequest') greet(message.payload?.miner_hotkey ?? '')
    if (message.message_type === 'V0InitialJobRequest') accept(message.job_uuid)
    if (message.message_type === 'V0JobRequest') work(message, heardAt)
  })
})

server.listen(0, HOST, () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
process.stdin.resume()
process.stdin.on('end', () => process.exit())
