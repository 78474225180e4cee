/** The command `check`, as an operator runs it. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hotkeyFromUri, writeHotkeyFile } from '@horde/chain/wallet'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { temporaryFolder } from './harness.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
/** How long a check may take on a busy machine, in milliseconds. */
const CHECK_MS = 60_000

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
  await writeHotkeyFile({ directory: folder.path }, '//miner')
})
afterEach(() => folder[Symbol.asyncDispose]())

function check(env: Record<string, string>): Promise<{ code: number | null; lines: string[]; stderr: string }> {
  const settings = {
    PATH: process.env.PATH ?? '',
    HOME: folder.path,
    BITTENSOR_NETUID: '1',
    BITTENSOR_NETWORK: 'local',
    BITTENSOR_WALLET_DIRECTORY: folder.path,
    EXECUTOR_MANAGER: 'process',
    PYTHON_IMAGE: 'compute-horde/python:3.11',
  }
  return new Promise(resolve => {
    const child = execFile(process.execPath, [MAIN, 'check'], { env: { ...settings, ...env } }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, lines: stdout.trim().split('\n'), stderr })
    })
  })
}

describe.each(['process', 'docker'])('executors by %s', EXECUTOR_MANAGER => {
  it('find out what their host is, with the limits that jobs get there', { timeout: CHECK_MS }, async () => {
    const { code, lines, stderr } = await check({ EXECUTOR_MANAGER, PIDS_LIMIT: '77', EXECUTOR_GPU_DEVICE_IDS: 'none' })
    expect(stderr).toBe('')
    expect(lines.slice(0, 3)).toEqual([
      'ok   settings: all can be read',
      `ok   hotkey: ${hotkeyFromUri('//miner').ss58}`,
      `ok   executors of always_on.gpu-24gb: 1 by ${EXECUTOR_MANAGER}, and what one finds out there:`,
    ])
    expect(lines).toContainEqual(expect.stringMatching(/^ok {3}seccomp: /))
    expect(lines).toContain('ok   limit: PIDS_LIMIT=77')
    expect(code).toBe(0)
  })

  it('that could run no job make the check fail', { timeout: CHECK_MS }, async () => {
    const { code, lines } = await check({ EXECUTOR_MANAGER, RUNTIME: 'no-such' })
    expect(lines).toContainEqual(expect.stringMatching(/^bad {2}runtime: the engine has none named no-such/))
    expect(code).toBe(1)
  })
})

it('settings that are wrong are told all at once', async () => {
  const { code, lines } = await check({ BITTENSOR_NETUID: 'x', EXECUTOR_COUNT: 'y' })
  expect(lines).toEqual([
    expect.stringMatching(/^bad {2}settings: BITTENSOR_NETUID /),
    expect.stringMatching(/^bad {2}settings: EXECUTOR_COUNT /),
  ])
  expect(code).toBe(1)
})

it('a wallet that is not there is told', async () => {
  const { code, lines } = await check({ BITTENSOR_WALLET_HOTKEY_NAME: 'other' })
  expect(lines).toEqual([
    'ok   settings: all can be read',
    expect.stringMatching(/^bad {2}settings: BITTENSOR_WALLET_HOTKEY_NAME /),
  ])
  expect(code).toBe(1)
})

it('an engine without the image of executors is told', async () => {
  const { code, lines } = await check({ EXECUTOR_MANAGER: 'docker', EXECUTOR_IMAGE: 'no/such:image' })
  expect(lines.at(-1)).toMatch(/^bad {2}executors of .*no\/such:image/)
  expect(code).toBe(1)
})

it("an operator's own manager need not be able to", async () => {
  const path = join(folder.path, 'manager.mjs')
  await writeFile(path, 'export const createExecutorManager = () => ({ start() {} })')
  const { code, lines } = await check({ EXECUTOR_MANAGER: path })
  expect(lines.at(-1)).toBe(`warn executors of always_on.gpu-24gb: the manager ${path} cannot check them`)
  expect(code).toBe(0)
})
