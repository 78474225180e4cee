import { readFile } from 'node:fs/promises'
import { settingsTable } from '@horde/kit/config'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { settings } from '../src/config.ts'

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
})
afterAll(() => miner[Symbol.asyncDispose]())

test('the README has the table of the settings', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  expect(readme).toContain(settingsTable(settings))
})

test('allows inputs and outputs of 2 GiB by default, as the network of 2026 does', () => {
  const { VOLUME_MAX_SIZE_BYTES, OUTPUT_MAX_SIZE_BYTES, OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES } = settings
  for (const { schema } of [VOLUME_MAX_SIZE_BYTES, OUTPUT_MAX_SIZE_BYTES, OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES]) {
    expect(schema.parse(undefined)).toBe(2_147_483_648)
  }
})

test('reports all wrong settings at once, without the secret, and exits with 78', async () => {
  const executor = miner.spawn(
    {
      MINER_ADDRESS: 'http://x',
      PIDS_LIMIT: 'many',
      IMAGE_ALIASES: 'a',
      EXECUTOR_GPU_DEVICE_IDS: '0,,1',
      MAX_OUTPUT_BYTES: '999999999',
      HEALTH_ADDRESS: '0.0.0.0:9100',
    },
    'not a token!',
  )
  expect(await executor.exit()).toBe(78)
  for (const name of [
    'MINER_ADDRESS',
    'EXECUTOR_TOKEN',
    'PIDS_LIMIT',
    'IMAGE_ALIASES',
    'EXECUTOR_GPU_DEVICE_IDS',
    'MAX_OUTPUT_BYTES',
    'HEALTH_ADDRESS',
  ]) {
    expect(executor.log).toContain(`${name}: `)
  }
  expect(executor.log).not.toContain('not a token!')
  expect(executor.log).not.toContain('    at ')
})
