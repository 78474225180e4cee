/** Our miner with validators of every year, with confused ones, and with hostile ones. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { pins } from '../../src/db/schema.ts'
import { type Started, startMiner2026 } from '../v2026/started.ts'
import { OUR_EXECUTOR, playExecutor } from './peers.ts'
import { GOOD_VALIDATORS, JOB_V0, play, REFUSED_VALIDATORS } from './validator-kinds.ts'

let started: Started
beforeAll(async () => {
  started = await startMiner2026()
})
afterAll(() => started[Symbol.asyncDispose]())
// The miner takes no unsigned frame of a validator that has signed one.
beforeEach(() => started.miner.db.delete(pins))

describe.each(GOOD_VALIDATORS)('a validator $validator', ({ hears, ...parts }) => {
  it('gets its job done in its dialect', async () => {
    const executor = playExecutor(started.manager, OUR_EXECUTOR)
    const heard = await play(started.miner, parts)
    const types = heard.map(({ message_type }) => message_type)
    expect(types).toEqual(hears)
    const isOfV0 = !types.includes('V0VolumesReadyRequest')
    expect(await executor).toEqual(
      isOfV0 ? ['V0PrepareJobRequest', 'V0RunJobRequest'] : ['V0InitialJobRequest', 'V0JobRequest'],
    )
    // v0 knows no more fields than these.
    const fields = heard.filter(({ message_type }) => JOB_V0.includes(message_type)).map(each => Object.keys(each))
    const printed = ['docker_process_stderr', 'docker_process_stdout']
    if (isOfV0) {
      expect(fields.map(each => each.filter(name => name !== 'message_type').toSorted())).toEqual([
        ...[['job_uuid'], ['job_uuid']],
        [...printed, 'job_uuid'],
      ])
    }
  })
})

describe.each(REFUSED_VALIDATORS)('a validator $validator', ({ hears, script }) => {
  it('is refused', async () => {
    const heard = await play(started.miner, {
      script: async side => {
        await script(side)
        await side.untilClosed(1000)
      },
    })
    expect(heard.map(({ message_type }) => message_type)).toEqual(hears)
  })
})
