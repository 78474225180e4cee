/** A test for each trial, and one for what comes after: the host is as it was, and the next job is fine. */
import { randomUUID } from 'node:crypto'
import { honestTrials } from '@horde/testing/hostile/honest'
import { ContainerWatch, hostSettings, orphansOnHost } from '@horde/testing/hostile/host'
import { runTrial } from '@horde/testing/hostile/run-trial'
import type { Trial } from '@horde/testing/hostile/trial'
import { TrialImages } from '@horde/testing/hostile/trial-images'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

export function testTrials(title: string, trials: readonly Trial[]): void {
  let miner: TestMiner
  let before: Record<string, string>
  let containers: ContainerWatch
  const images = new TrialImages()
  beforeAll(async () => {
    miner = await TestMiner.start()
    containers = new ContainerWatch()
    before = await hostSettings()
  })
  afterAll(async () => {
    containers[Symbol.dispose]()
    await miner[Symbol.asyncDispose]()
    await images[Symbol.asyncDispose]()
  })

  describe.concurrent(title, () => {
    test.each(trials.map(trial => [trial.name, trial] as const))('%s', async (_, trial) => {
      expect(await runTrial(trial, { miner, images })).toEqual([])
    })
  })

  describe('afterwards', () => {
    test('the host is as it was', async () => {
      // Each has its job's container and one that holds its folders.
      expect(containers.ids.size).toBeGreaterThan(trials.length)
      // The engine forgets a container before the kernel has removed its cgroups.
      await expect.poll(() => orphansOnHost(containers.ids)).toEqual([])
      expect(await hostSettings()).toEqual(before)
    })

    test.each(honestTrials(randomUUID()).map(trial => [trial.name, trial] as const))('%s', async (_, trial) => {
      expect(await runTrial(trial, { miner, images })).toEqual([])
    })
  })
}
