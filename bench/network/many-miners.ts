/**
 * Many miners in one process, as cheap as they can be: they accept every offer, are ready after a moment, and answer the
 * work after another one. What an answer's stderr says is how long it took them, in ms. Prints its port; ends with its stdin.
 *
 * Command: `node bench/network/many-miners.ts <executors of each>`
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'

/** Loopback, and an address that the chain takes. */
const HOST = '127.0.0.2'
/** How long an executor takes to be ready, and to do its work: something between, in ms. */
const READY_MS = [50, 1_000] as const
const WORK_MS = [500, 3_000] as const

interface Message {
  message_type: string
  job_uuid: string
  docker_run_cmd?: string[]
}

const executors = Number(process.argv[2] ?? 1)
const between = ([min, max]: readonly [number, number]) => min + Math.random() * (max - min)
const server = createServer()
const router = upgradeRouter(server, { log: silentLog })

router.onUpgrade(/^\/v0\.1\/validator_interface\//, ws => {
  const say = (message: object) => ws.send(JSON.stringify(message))
  ws.on('message', data => {
    const heardAt = performance.now()
    const { message_type, job_uuid, docker_run_cmd } = JSON.parse(String(data)) as Message
    if (message_type === 'V0AuthenticateRequest') {
      const executor_classes = [{ executor_class: 'always_on.test', count: executors }]
      say({ message_type: 'V0ExecutorManifestRequest', manifest: { executor_classes } })
    } else if (message_type === 'V0InitialJobRequest') {
      say({ message_type: 'V0AcceptJobRequest', job_uuid })
      setTimeout(() => say({ message_type: 'V0ExecutorReadyRequest', job_uuid }), between(READY_MS))
    } else if (message_type === 'V0JobRequest') {
      const finish = () =>
        say({
          message_type: 'V0JobFinishedRequest',
          job_uuid,
          docker_process_stdout: docker_run_cmd?.[0] ?? '',
          docker_process_stderr: String(performance.now() - heardAt),
        })
      setTimeout(finish, between(WORK_MS))
    }
  })
})

server.listen(0, HOST, () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
process.stdin.resume()
process.stdin.on('end', () => process.exit())
