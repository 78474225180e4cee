/** A running miner reads its pools' file again on SIGHUP. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { writeHotkeyFile } from '@horde/chain/wallet'
import { connectValidator } from '@horde/testing/peers/validator'
import { PROGRAM_ENVIRONMENT } from '@horde/testing/runs/program-environment'
import { expect, it } from 'vitest'
import { startChain, temporaryFolder } from './harness.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

const poolsOf = (count: unknown) => `pools:\n  - class: always_on.test\n    count: ${count}\n    manager: process\n`

it('uses changed counts at once, and keeps its pools when the file has mistakes', async () => {
  await using folder = await temporaryFolder()
  await using chain = await startChain()
  await writeHotkeyFile({ directory: folder.path }, '//miner')
  const file = join(folder.path, 'pools.yml')
  await writeFile(file, poolsOf(2))
  const env = {
    ...PROGRAM_ENVIRONMENT,
    HOME: folder.path,
    BITTENSOR_NETUID: '1',
    BITTENSOR_NETWORK: chain.url,
    BITTENSOR_WALLET_DIRECTORY: folder.path,
    BITTENSOR_MINER_ADDRESS: '127.0.0.2',
    BITTENSOR_MINER_PORT: '0',
    LISTEN_HOST: '127.0.0.1',
    DATABASE_URL: 'pglite://memory',
    POOLS_FILE: file,
  }
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines: Record<string, unknown>[] = []
  createInterface(child.stdout).on('line', line => lines.push(JSON.parse(line)))
  const line = (msg: string) => lines.find(each => each.msg === msg)
  await expect.poll(() => line('miner started')).toBeDefined()
  const url = `ws://127.0.0.1:${line('miner started')?.port}`

  expect(await countToldBy(url)).toBe(2)
  await writeFile(file, poolsOf('many'))
  child.kill('SIGHUP')
  await expect
    .poll(() => line('pools not reloaded: they stay as they are'))
    .toMatchObject({
      err: { message: expect.stringContaining('pools.yml:3: pools[0].count must be a whole number from 0 to 1024') },
    })
  expect(await countToldBy(url)).toBe(2)
  await writeFile(file, poolsOf(5))
  child.kill('SIGHUP')
  await expect.poll(() => line('pools reloaded')).toBeDefined()
  expect(await countToldBy(url)).toBe(5)

  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
})

async function countToldBy(url: string): Promise<number | undefined> {
  await using validator = await connectValidator({ url }, undefined, ['manifest'])
  const message = await validator.next()
  return 'manifest' in message ? message.manifest.executor_classes[0]?.count : undefined
}
