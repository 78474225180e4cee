/** /metrics of a miner at work, and the README's table of it. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { metricsTable } from '@horde/kit/metrics/definitions'
import {
  authentication,
  connectValidator,
  dialMiner,
  minerKey,
  unknownKey,
  type ValidatorPeer,
  validatorKey,
} from '@horde/testing/peers/validator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { METRICS } from '../../src/operator/metrics/definitions.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf } from '../messages.ts'
import { playJob } from '../play-job.ts'

let stack: AsyncDisposableStack
let miner: TestMiner
let validator: ValidatorPeer
const manager = new ScriptedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const env = {
    EXECUTOR_CLASS: 'always_on.test',
    EXECUTOR_COUNT: '2',
    AUTHENTICATE_SECONDS: '1',
    MAX_CONNECTIONS_PER_VALIDATOR: '2',
  }
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env }))
  validator = stack.use(await connectValidator(miner))
})
afterAll(() => stack.disposeAsync())

const metrics = async () => (await fetch(`http://127.0.0.1:${miner.adminPort}/metrics`)).text()
/** A sample's value; undefined when there is none. */
async function sample(name: string): Promise<number | undefined> {
  const line = (await metrics()).split('\n').find(each => each.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length))
}

it('names the same metrics in the README, the definitions and the registry', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  expect(readme).toContain(metricsTable(METRICS))
  const types = [...(await metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type])
  const own = types.filter(([name]) => !/^miner_(process|nodejs)_/.test(name ?? ''))
  expect(Object.fromEntries(own)).toEqual(
    Object.fromEntries(Object.entries(METRICS).map(([name, { type }]) => [name, type])),
  )
  expect(await metrics()).toMatch(/^miner_nodejs_eventloop_lag_p99_seconds \d/m)
})

it('counts jobs by class, end and reason, and measures their stages', async () => {
  await playJob(validator, manager, { until: 'finished' })
  await playJob(validator, manager, { until: 'finished' })
  await playJob(validator, manager, { until: 'failed' })
  await playJob(validator, manager, { until: 'exited' })
  const jobs = (end: string, reason: string) =>
    sample(`miner_jobs_total{executor_class="always_on.test",end="${end}",reason="${reason}"}`)
  expect(await jobs('finished', 'none')).toBe(2)
  expect(await jobs('failed', 'exit-status')).toBe(1)
  expect(await jobs('broken', 'executor-exited')).toBe(1)
  const times = (stage: string) =>
    sample(`miner_job_stage_seconds_count{executor_class="always_on.test",stage="${stage}"}`)
  for (const stage of ['start', 'prepare', 'offer_to_ready', 'work', 'run']) expect(await times(stage)).toBe(3)
})

it('reports the executors, jobs and connections of now', async () => {
  await playJob(validator, manager, { until: 'ready' })
  const executors = (state: string) =>
    sample(`miner_executors{pool="always_on.test",executor_class="always_on.test",state="${state}"}`)
  await expect.poll(() => executors('taken')).toBe(1)
  expect([await executors('free'), await executors('warm_ready'), await executors('warm_starting')]).toEqual([1, 0, 0])
  expect(await sample('miner_jobs_open{state="ready"}')).toBe(1)
  expect(await sample('miner_sessions')).toBe(1)
  expect(await sample('miner_validators')).toBe(2)
  expect(await sample('miner_registered')).toBe(1)
  expect(await sample('miner_chain_connected')).toBe(1)
  await expect.poll(() => sample('miner_watch_verdict{watch="database"}')).toBe(0)
  await expect.poll(() => sample('miner_database_seconds')).toBeGreaterThan(0)
  expect(await sample('miner_database_bytes')).toBeGreaterThan(1_000_000)
  await expect.poll(() => sample('miner_clock_offset_seconds')).toBeLessThan(5)
  expect(await sample('miner_gpus'), 'no pool uses GPUs').toBeUndefined()
})

it('counts declined offers by reason, and any unknown class as other', async () => {
  await validator.send(offerOf(randomUUID(), { executor_class: 'always_on.nonsense' }))
  expect(await validator.next()).toMatchObject({ message_type: 'V0DeclineJobRequest' })
  const text = await metrics()
  expect(text).toMatch(/^miner_offers_declined_total\{executor_class="other",reason="[a-z-]+"\} 1$/m)
  expect(text).not.toContain('nonsense')
})

it('counts refused connections by reason', async () => {
  const refused = async (code: string) => sample(`miner_refusals_total{reason="${code}"}`)
  const key = validatorKey()
  const expected = [
    ['unknown-validator', unknownKey().ss58, authentication(unknownKey())],
    ['inactive-validator', minerKey().ss58, authentication(minerKey())],
    ['other-validator', key.ss58, authentication(key, { validator_hotkey: unknownKey().ss58 })],
    ['other-miner', key.ss58, authentication(key, { miner_hotkey: unknownKey().ss58 })],
    ['timestamp', key.ss58, authentication(key, { timestamp: 1 })],
    ['signature', key.ss58, authentication(unknownKey(), { validator_hotkey: key.ss58 })],
    ['not-an-authentication', key.ss58, offerOf(randomUUID())],
    ['too-late', key.ss58, undefined],
  ] as const
  for (const [code, hotkey, message] of expected) {
    const peer = await dialMiner(miner, hotkey)
    if (message) await peer.send(message).catch(() => {})
    await peer.nextUntilClosed()
    await expect.poll(() => refused(code)).toBe(1)
  }
  const gone = await dialMiner(miner, key.ss58)
  await gone.close()
  await expect.poll(() => refused('closed')).toBe(1)
  const again = authentication(key)
  await using second = await dialMiner(miner, key.ss58)
  await second.send(again)
  for (const code of ['too-many-connections', 'replay']) {
    const third = await dialMiner(miner, key.ss58)
    await third.send(code === 'replay' ? again : authentication(key, { timestamp: Math.floor(Date.now() / 1000) - 1 }))
    await third.nextUntilClosed()
    await expect.poll(() => refused(code)).toBe(1)
  }
  expect(await refused('other')).toBeUndefined()
})
