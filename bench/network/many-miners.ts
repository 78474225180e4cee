/**
 * Simulates many miners of one dialect in one process, as cheaply as possible. They accept every offer, are ready after
 * a random time, and send the result after another one. The stderr of a result is the time that the job took, in ms.
 * They keep a result until the validator has it, and tell a validator that comes back what it may have missed. The
 * process prints its port, and exits when its stdin ends.
 *
 * Command: `node bench/network/many-miners.ts <executors of each> [--dialect v0|v2026] [--print-completed] [--work S]`
 *   --dialect          the dialect of the miners; v2026 by default
 *   --print-completed  prints the uuid of each completed job
 *   --work S           lets a job take S seconds at most, and a sixth of that at least
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'
import { type Message, SIMULATED } from './simulated-dialects.ts'

/** A loopback address that the chain accepts, unlike 127.0.0.1. */
const HOST = '127.0.0.2'
/** The ranges of the random times until an executor is ready, and until it has done its work, in ms. */
const READY_MS = [50, 1_000] as const
const SHORT_WORK_MS = [500, 3_000] as const
/** The payload in the input of an echo job: a uuid. */
const PAYLOAD = /[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}/

/** One connection of a validator, to one miner. */
interface Connection {
  isOpen(): boolean
  send(message: object): void
  /** Sends a result. In v0 the pong behind it shows that the validator has read it. */
  deliver(job: Job): void
}

interface Job {
  miner: string
  /** The connection on which the validator last spoke of it. */
  origin: Connection
  state: 'preparing' | 'ready' | 'running' | 'ended'
  isDelivered: boolean
  /** All messages about it, the result last. */
  said: object[]
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    dialect: { type: 'string', default: 'v2026' },
    'print-completed': { type: 'boolean', default: false },
    work: { type: 'string' },
  },
})
const executors = Number(positionals[0] ?? 1)
const dialect = SIMULATED[values.dialect === 'v0' ? 'v0' : 'v2026']
const longestMs = values.work === undefined ? undefined : Number(values.work) * 1000
const workMs = longestMs === undefined ? SHORT_WORK_MS : ([longestMs / 6, longestMs] as const)
const jobs = new Map<string, Job>()
/** By the miner's hotkey: the connections on which a validator has authenticated. */
const authenticated = new Map<string, Set<Connection>>()
const randomBetween = ([min, max]: readonly [number, number]) => min + Math.random() * (max - min)

/** The connections that hear of a job: its origin, or all of its miner once that is gone. */
const listenersOf = ({ origin, miner }: Job) => (origin.isOpen() ? [origin] : [...(authenticated.get(miner) ?? [])])

function say(job: Job, message: object): void {
  job.said.push(message)
  for (const connection of listenersOf(job)) connection.send(message)
}

function end(job: Job, result: object): void {
  job.said.push(result)
  job.state = 'ended'
  for (const connection of listenersOf(job)) connection.deliver(job)
}

function greet(connection: Connection, miner: string): void {
  const connections = authenticated.get(miner) ?? new Set()
  authenticated.set(miner, connections.add(connection))
  connection.send(dialect.manifest(executors))
  for (const job of jobs.values()) {
    if (job.miner !== miner || job.isDelivered || job.origin.isOpen()) continue
    const isEnded = job.state === 'ended'
    const before = isEnded ? job.said.slice(0, -1) : job.said
    if (dialect.repeatsAll) for (const message of before) connection.send(message)
    else if (job.state === 'ready') connection.send(job.said.at(-1) ?? {})
    if (isEnded) connection.deliver(job)
  }
}

function accept(connection: Connection, miner: string, job_uuid: string): void {
  const known = jobs.get(job_uuid)
  const acceptance = { message_type: 'V0AcceptJobRequest', job_uuid }
  if (known) {
    known.origin = connection
    if (known.state === 'ended') connection.deliver(known)
    else connection.send(acceptance)
    return
  }
  const job: Job = { miner, origin: connection, state: 'preparing', isDelivered: false, said: [] }
  jobs.set(job_uuid, job)
  say(job, acceptance)
  setTimeout(() => {
    job.state = 'ready'
    say(job, { message_type: 'V0ExecutorReadyRequest', job_uuid })
  }, randomBetween(READY_MS))
}

function work(connection: Connection, { job_uuid, docker_run_cmd, volume }: Message, receivedAt: number): void {
  const job = jobs.get(job_uuid)
  if (job) job.origin = connection
  if (job?.state !== 'ready') return
  job.state = 'running'
  const input = Buffer.from(volume?.contents ?? '', 'base64').toString('latin1')
  const answer = docker_run_cmd?.[0] ?? PAYLOAD.exec(input)?.[0] ?? ''
  setTimeout(() => {
    for (const message_type of dialect.stages) say(job, { message_type, job_uuid })
    if (values['print-completed']) process.stdout.write(`${job_uuid}\n`)
    const [message_type, docker_process_stdout] = ['V0JobFinishedRequest', answer]
    const docker_process_stderr = String(performance.now() - receivedAt)
    end(job, { message_type, job_uuid, docker_process_stdout, docker_process_stderr, ...dialect.extras })
  }, randomBetween(workMs))
}

const server = createServer()
const router = upgradeRouter(server, { log: silentLog })

router.onUpgrade(
  /^\/v0\.1\/validator_interface\//,
  ws => {
    let miner: string | undefined
    /** Jobs whose result was sent, and not yet acknowledged by a pong. */
    const unacknowledged: Job[] = []
    const connection: Connection = {
      isOpen: () => ws.readyState === ws.OPEN,
      send: message => ws.send(JSON.stringify(message)),
      deliver: job => {
        connection.send(job.said.at(-1) ?? {})
        if (!dialect.endsByPong) return
        unacknowledged.push(job)
        ws.ping()
      },
    }
    ws.on('pong', () => {
      for (const job of unacknowledged.splice(0)) job.isDelivered = true
    })
    ws.on('close', () => authenticated.get(miner ?? '')?.delete(connection))
    ws.on('message', data => {
      const receivedAt = performance.now()
      const message = JSON.parse(String(data)) as Message
      const { message_type: type, job_uuid } = message
      if (type === dialect.authentication) {
        miner = dialect.minerIn(message)
        greet(connection, miner)
      } else if (miner === undefined) connection.send({ message_type: 'GenericError', details: `unexpected ${type}` })
      else if (type === 'V0InitialJobRequest') accept(connection, miner, job_uuid)
      else if (type === 'V0JobRequest') work(connection, message, receivedAt)
      else if (type === 'V0JobFinishedReceiptRequest') {
        const ended = jobs.get(message.payload?.job_uuid ?? '')
        if (ended) ended.isDelivered = true
      }
    })
  },
  () => dialect.headers,
)

server.listen(0, HOST, () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
process.stdin.resume()
process.stdin.on('end', () => process.exit())
