/** Plays a job, with its executor, from the offer to the state that a test wants. */
import { randomUUID } from 'node:crypto'
import type { MinerMessage } from '@horde/protocol/v0/validator-miner'
import { connectExecutor } from '@horde/testing/peers/executor'
import type { ValidatorPeer } from '@horde/testing/peers/validator'
import type { ScriptedManager } from './harness.ts'
import { offerOf, workOf } from './messages.ts'

export type Until = 'accepted' | 'ready' | 'finished' | 'failed' | 'not prepared' | 'exited'

/** Returns the job's uuid and the last message that its validator got about it. */
export async function playJob(
  validator: ValidatorPeer,
  manager: ScriptedManager,
  { image = 'img', until }: { image?: string | null; until: Until },
): Promise<{ uuid: string; received: MinerMessage }> {
  const offer = offerOf(randomUUID(), { base_docker_image_name: image })
  const { job_uuid } = offer
  const nextMessage = async () => ({ uuid: job_uuid as string, received: await validator.next() })
  await validator.send(offer)
  const accepted = await nextMessage()
  const order = await manager.order()
  if (until === 'accepted') return accepted
  if (until === 'exited') {
    manager.exit(order.token)
    return nextMessage()
  }
  const executor = await connectExecutor(order, manager)
  await executor.next()
  if (until === 'not prepared') {
    await executor.send({ message_type: 'V0FailedToPrepare', job_uuid })
    return nextMessage()
  }
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid })
  const ready = await nextMessage()
  if (until === 'ready') return ready
  await validator.send(workOf(job_uuid))
  await executor.next()
  const output = { job_uuid, docker_process_stdout: 'what it printed', docker_process_stderr: '' }
  if (until === 'finished') await executor.send({ message_type: 'V0FinishedRequest', ...output })
  else
    await executor.send({ message_type: 'V0FailedRequest', docker_process_exit_status: 3, timeout: false, ...output })
  return nextMessage()
}
