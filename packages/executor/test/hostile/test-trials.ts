/** A test for each trial, and one for what comes after: the host is as it was, and the next job is fine. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestMiner } from '../miner.ts'
import { honestTrials } from './honest.ts'
import { hostSettings, remains } from './host.ts'
import { runTrial } from './run-trial.ts'
import type { Trial } from './trial.ts'
import { TrialImages } from './trial-images.ts'

export function testTrials(title: string, trials: readonly Trial[]): void {
  let miner: TestMiner
  let before: Record<string, string>
  const images = new TrialImages()
  beforeAll(async () => {
    miner = await TestMiner.start()
    before = await hostSettings()
  })
  afterAll(async () => {
    await miner[Symbol.asyncDispose]()
    await images[Symbol.asyncDispose]()
  })

  describe.concurrent(title, { timeout: 120_000 }, () => {
    test.each(trials.map(trial => [trial.name, trial] as const))('%s', async (_, trial) => {
      expect(await runTrial(trial, { miner, images })).toEqual([])
    })
  })

  describe('afterwards', () => {
    test('the host is as it was', async () => {
      expect(await remains()).toEqual([])
      expect(await hostSettings()).toEqual(before)
    })

    test.each(honestTrials(randomUUID()).map(trial => [trial.name, trial] as const))('%s', async (_, trial) => {
      expect(await runTrial(trial, { miner, images })).toEqual([])
    })
  })
}
