/** Takes an executor through a job step by step, by the messages of a scripted miner. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expectNothingLeft, type Job, job } from '@horde/testing/jobs/executor-job'
import type { TestExecutor, TestMiner } from '@horde/testing/peers/miner-for-executors'
import type { RawConnection, RawMiner } from '@horde/testing/peers/raw-miner'
import { expect } from 'vitest'
import { untilRunning } from '../container/running.ts'

const QUICK = { RECONNECT_DELAY_SECONDS: '0.05' }
/** Runs until there is a file /tmp/go. */
const WAITER = `
import os, time
while not os.path.exists("/tmp/go"): time.sleep(0.02)
print("went")
`

export class Conversation {
  readonly wanted: Job
  readonly executor: TestExecutor
  /** The latest connection. */
  connection: RawConnection
  readonly #miner: RawMiner

  private constructor(wanted: Job, executor: TestExecutor, connection: RawConnection, miner: RawMiner) {
    this.wanted = wanted
    this.executor = executor
    this.connection = connection
    this.#miner = miner
  }

  /** Starts an executor, which connects. `image`: what is to be prepared; null: nothing. */
  static async begin(
    miner: RawMiner,
    spawner: TestMiner,
    image: string | null = null,
    env = {},
  ): Promise<Conversation> {
    const wanted = await job({ script: WAITER, offeredImage: image })
    const executor = spawner.spawn({ ...QUICK, MINER_ADDRESS: miner.url, ...env })
    return new Conversation(wanted, executor, await miner.arrival(executor), miner)
  }

  offer(): void {
    this.connection.send(this.wanted.offer)
  }

  async expectReady(): Promise<void> {
    const ready = { message_type: 'V0ReadyRequest', job_uuid: this.wanted.job_uuid }
    expect(await this.connection.receive()).toEqual(ready)
  }

  async prepare(): Promise<void> {
    this.offer()
    await this.expectReady()
  }

  /**
   * Sends the work, and waits until it runs. Spells the job's uuid in capitals: that is the same job, and the executor
   * answers with the spelling of the offer.
   */
  async start(): Promise<void> {
    this.connection.send({ ...this.wanted.work, job_uuid: this.wanted.job_uuid.toUpperCase() })
    await untilRunning(this.wanted)
  }

  /** Lets a running job end. Does not wait for `touch`: the engine kills it when the job ends first. */
  async letGo(): Promise<void> {
    const touch = ['exec', '--detach', await untilRunning(this.wanted), 'touch', '/tmp/go']
    await promisify(execFile)('docker', touch)
  }

  async expectResult(): Promise<void> {
    expect(await this.connection.receive()).toEqual({
      message_type: 'V0FinishedRequest',
      job_uuid: this.wanted.job_uuid,
      docker_process_stdout: 'went\n',
      docker_process_stderr: '',
    })
    expect(await this.connection.receive()).toEqual({ closed: 1000 })
  }

  /** Records the result that was received last. */
  async acknowledge(): Promise<void> {
    this.connection.close(1000)
    await this.expectExit(0)
  }

  async expectExit(code: number): Promise<void> {
    expect(await this.executor.exit()).toBe(code)
    await expectNothingLeft(this.wanted, this.executor)
  }

  /** From the work on, to a good end. */
  async finish(): Promise<void> {
    await this.start()
    await this.letGo()
    await this.expectResult()
    await this.acknowledge()
  }

  /** Waits for the executor's next connection. */
  async again(miner = this.#miner): Promise<void> {
    this.connection = await miner.arrival(this.executor)
  }

  /** Closes the connection as a miner does that restarts, and waits for the next. */
  async reconnect(code = 1012): Promise<void> {
    this.connection.close(code)
    await this.again()
  }
}
