/** A validator's echo jobs on a real miner, in either dialect. */
import type { Hotkey } from '@horde/chain/wallet'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { MinerMessage } from '@horde/protocol/v2026/validator-miner'
import { LONG_MS } from '@horde/testing/limits'
import {
  authentication2026,
  dialMiner2026,
  receipt2026,
  signed2026,
  type ValidatorPeer2026,
} from '@horde/testing/peers/v2026/validator'
import { TestValidator } from '@horde/testing/peers/validator'
import { echoJob, echoJob2026, work2026OfEcho } from './echo-job.ts'
import type { Network } from './network.ts'

/** One job. Disposing of it closes what is open for it alone. */
export interface MinerJob extends AsyncDisposable {
  /** Offers the job and waits until it is ready. */
  prepare(): Promise<void>
  /** Sends the work and waits for the result. */
  run(): Promise<void>
  /** Sends work with this input, which is no zip file, and waits until the job has failed. */
  fail(contents: string): Promise<void>
}

export class BenchValidator implements AsyncDisposable {
  readonly #network: Network
  readonly #key: Hotkey
  /** In v0 one connection serves all jobs. */
  readonly #shared: TestValidator

  private constructor(network: Network, key: Hotkey, shared: TestValidator) {
    this.#network = network
    this.#key = key
    this.#shared = shared
  }

  /** Resolves once the miner listens and accepts the network's first validator. */
  static async connect(network: Network): Promise<BenchValidator> {
    const [key] = network.validators
    if (!key) throw new Error('a network without a validator')
    return new BenchValidator(network, key, await TestValidator.connect(network.address, key, network.minerHotkey))
  }

  /** Makes a job. In v2026 that opens a connection, and authenticates on it. */
  open(dialect: Dialect): Promise<MinerJob> {
    return dialect === 'v0' ? Promise.resolve(jobOfV0(this.#shared)) : jobOf2026(this.#network, this.#key)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#shared[Symbol.asyncDispose]()
  }
}

function jobOfV0(validator: TestValidator): MinerJob {
  const { offer, work } = echoJob()
  const exchange = async (message: typeof offer | typeof work, type: Parameters<TestValidator['receive']>[1]) => {
    const answer = validator.receive(offer.job_uuid, type)
    await validator.send(message)
    await answer
  }
  return {
    prepare: () => exchange(offer, 'V0ExecutorReadyRequest'),
    run: () => exchange(work, 'V0JobFinishedRequest'),
    fail: contents => exchange({ ...work, volume: { volume_type: 'inline', contents } }, 'V0JobFailedRequest'),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function jobOf2026({ address, minerHotkey }: Network, key: Hotkey): Promise<MinerJob> {
  const peer = await dialMiner2026({ url: `ws://${address}` }, key)
  await peer.send(authentication2026(key, { miner_hotkey: minerHotkey }))
  await untilMessage(peer, 'V0ExecutorManifestRequest')
  const { job_uuid, offer, work } = echoJob2026(key, minerHotkey)
  const receipt = (kind: 'accepted' | 'finished') =>
    peer.send(receipt2026(job_uuid, kind, { miner_hotkey: minerHotkey }, key))
  return {
    prepare: async () => {
      await peer.send(offer)
      await untilMessage(peer, 'V0AcceptJobRequest', job_uuid)
      await receipt('accepted')
      await untilMessage(peer, 'V0ExecutorReadyRequest', job_uuid)
    },
    run: async () => {
      await peer.send(work)
      await untilMessage(peer, 'V0JobFinishedRequest', job_uuid)
    },
    fail: async contents => {
      await peer.send(signed2026(work2026OfEcho(job_uuid, contents), key))
      await untilMessage(peer, 'V0JobFailedRequest', job_uuid)
    },
    [Symbol.asyncDispose]: async () => {
      await receipt('finished')
      await peer.close()
    },
  }
}

/** What may come before the message that is waited for. */
const SKIPPED = ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest']

/**
 * Waits for a message.
 *
 * @param jobUuid the job that it is about. The miner may repeat on this connection how an earlier job ended.
 */
async function untilMessage(
  peer: ValidatorPeer2026,
  type: MinerMessage['message_type'],
  jobUuid?: string,
): Promise<void> {
  for (;;) {
    const message = await peer.next(LONG_MS)
    const isOfAnother = 'job_uuid' in message && message.job_uuid !== jobUuid
    if (isOfAnother || SKIPPED.includes(message.message_type)) continue
    if (message.message_type === type) return
    throw new Error(`expected ${type}, got ${JSON.stringify(message)}`)
  }
}
