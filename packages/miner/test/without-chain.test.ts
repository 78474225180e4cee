/** A miner that is started while the chain is away. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { writeHotkeyFile } from '@horde/chain/wallet'
import { freePort } from '@horde/testing/port'
import { PROGRAM_ENVIRONMENT } from '@horde/testing/runs/program-environment'
import { expect, it } from 'vitest'
import { startChain, temporaryFolder } from './harness.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

it('opens its ports, names what it lacks at /health, and is ready once the chain answers', async () => {
  await using folder = await temporaryFolder()
  await writeHotkeyFile({ directory: folder.path }, '//miner')
  const port = await freePort()
  const env = {
    ...{ ...PROGRAM_ENVIRONMENT, HOME: folder.path, BITTENSOR_WALLET_DIRECTORY: folder.path },
    ...{ BITTENSOR_NETUID: '1', BITTENSOR_NETWORK: `ws://127.0.0.1:${port}`, BITTENSOR_MINER_ADDRESS: '127.0.0.2' },
    ...{ BITTENSOR_MINER_PORT: '0', LISTEN_HOST: '127.0.0.1', ADMIN_PORT: '0', DATABASE_URL: 'pglite://memory' },
    ...{ EXECUTOR_MANAGER: 'process', EXECUTOR_CLASS: 'always_on.test', VALIDATORS_REFRESH_SECONDS: '2' },
  }
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines: Record<string, unknown>[] = []
  createInterface(child.stdout).on('line', line => lines.push(JSON.parse(line)))
  const started = () => lines.find(({ msg }) => msg === 'miner started')
  await expect.poll(started).toBeDefined()
  const health = async () => {
    const response = await fetch(`http://127.0.0.1:${started()?.adminPort}/health`)
    return { status: response.status, ...((await response.json()) as object) }
  }
  expect(await health()).toMatchObject({ status: 503, live: true, ready: false, bad: ['chain'] })

  await using _chain = await startChain(port)
  await expect.poll(health).toMatchObject({ status: 200, ready: true, complete: true, bad: [] })
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
})
