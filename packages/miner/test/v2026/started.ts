/** A miner for tests of v2026, and a job's way to the state that a test wants. */
import { randomUUID } from 'node:crypto'
import { connectExecutor2026, type ExecutorPeer2026, OURS } from '@horde/testing/peers/v2026/executor'
import { offer2026, type ValidatorPeer2026, work2026 } from '@horde/testing/peers/v2026/validator'
import { type MinerOptions, ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'

export type Started = AsyncDisposable & {
  miner: TestMiner
  manager: ScriptedManager
}

type Network = Awaited<ReturnType<typeof startChain>>

/** @param shared a chain of the test's own */
export async function startMiner2026(options: Partial<MinerOptions> = {}, shared?: Network): Promise<Started> {
  await using stack = new AsyncDisposableStack()
  const network = shared ?? stack.use(await startChain())
  const manager = new ScriptedManager()
  const { chain, url: chainUrl } = network
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '2', ...options.env }
  const given = { chain, chainUrl, manager, ...options, env }
  const miner = stack.use(await startTestMiner(given))
  const opened = stack.move()
  return { miner, manager, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** How a test changes the job. */
export type Job2026 = { offer?: object; work?: object; headers?: Record<string, string> }

/** Plays a job until its executor has the work. */
export async function playUntilRunning(
  validator: ValidatorPeer2026,
  manager: ScriptedManager,
  { offer, work, headers = OURS }: Job2026 = {},
): Promise<{ uuid: string; executor: ExecutorPeer2026; token: string; said: object[] }> {
  const uuid = randomUUID()
  await validator.send(offer2026(uuid, { changes: offer ?? {} }))
  const said: object[] = [await validator.next()]
  const order = await manager.order()
  const executor = await connectExecutor2026(order, headers, manager)
  await executor.next()
  await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
  said.push(await validator.next())
  await validator.send(work2026(uuid, work ?? {}))
  await executor.next()
  return { uuid, executor, token: order.token, said }
}

export const finishOf = (job_uuid: string, changes: object = {}) => ({
  message_type: 'V0JobFinishedRequest',
  job_uuid,
  docker_process_stdout: 'out\n',
  docker_process_stderr: '',
  artifacts: {},
  upload_results: {},
  ...changes,
})
