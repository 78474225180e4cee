import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { writeHotkeyFile } from '@horde/chain/wallet'
import { WAIT_MS } from '@horde/testing/limits'
import { expect, it } from 'vitest'
import { startChain, temporaryFolder } from './harness.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
/** The limits at rest, and for a moment at the start. */
const AT_REST_MIB = 250
const AT_MOST_MIB = 400

async function memoryMiB(pid: number | undefined, of: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${of}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
}

it('needs little memory with a new embedded database', async () => {
  await using stack = new AsyncDisposableStack()
  const chain = stack.use(await startChain())
  const folder = stack.use(await temporaryFolder())
  await writeHotkeyFile({ directory: folder.path }, '//miner')
  const miner = spawn(process.execPath, [MAIN], {
    env: {
      ...{ PATH: process.env.PATH, HOME: folder.path, BITTENSOR_NETUID: '1', BITTENSOR_NETWORK: chain.url },
      ...{ BITTENSOR_WALLET_DIRECTORY: folder.path, BITTENSOR_MINER_ADDRESS: '127.0.0.2', BITTENSOR_MINER_PORT: '0' },
      ...{ LISTEN_HOST: '127.0.0.1', EXECUTOR_MANAGER: 'process', ADMIN_PORT: '0' },
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  stack.defer(async () => {
    miner.kill('SIGKILL')
    if (miner.exitCode === null && miner.signalCode === null) await once(miner, 'exit')
  })
  const lines: string[] = []
  createInterface({ input: miner.stdout }).on('line', line => lines.push(line))
  await expect.poll(() => lines.join('\n'), { timeout: WAIT_MS }).toContain('address announced on the chain')
  await expect.poll(() => memoryMiB(miner.pid, 'VmRSS'), { timeout: WAIT_MS }).toBeLessThan(AT_REST_MIB)
  expect(await memoryMiB(miner.pid, 'VmHWM')).toBeLessThan(AT_MOST_MIB)
})
