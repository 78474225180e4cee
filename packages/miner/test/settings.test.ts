import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { settingsTable } from '@horde/kit/config'
import { expect, it } from 'vitest'
import { minerSettings } from '../src/config.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

type Run = { code: number | null; stdout: string; stderr: string }

function runMiner(env: Record<string, string>): Promise<Run> {
  return new Promise(resolve => {
    const child = execFile(process.execPath, [main], { env }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
  })
}

it('lists all mistakes at once, each with an example, and exits with 78', async () => {
  const { code, stdout, stderr } = await runMiner({
    BITTENSOR_NETWORK: 'http://nowhere',
    BITTENSOR_MINER_PORT: '99999',
    BITTENSOR_MINER_ADDRESS: 'example.org',
    EXECUTOR_CLASS: 'huge',
    DATABASE_URL: 'mysql://root:hunter2@db/x',
    PREPARE_SECONDS: 'soon',
  })
  expect(code).toBe(78)
  expect(stdout).toBe('')
  const names = ['NETUID', 'NETWORK', 'MINER_PORT', 'MINER_ADDRESS'].map(name => `BITTENSOR_${name}`)
  for (const name of [...names, 'EXECUTOR_CLASS', 'DATABASE_URL', 'PREPARE_SECONDS']) {
    expect(stderr).toMatch(new RegExp(`^  ${name}: .+ Example: ${name}=.+$`, 'm'))
  }
  expect(stderr).not.toMatch(/hunter2|node:internal|\.ts:\d/)
})

it.each([
  ['a wallet that is not there', 'BITTENSOR_WALLET_HOTKEY_NAME', { BITTENSOR_WALLET_DIRECTORY: '/nowhere/at/all' }],
  ['a validator that is none', 'EXTRA_VALIDATORS', { EXTRA_VALIDATORS: `${'5'.repeat(48)},5Grwva` }],
  [
    'a banned one that is none',
    'BANNED_VALIDATORS',
    { BANNED_VALIDATORS: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGK0OIl' },
  ],
])('%s is a wrong setting', async (_, name, env) => {
  const { code, stderr } = await runMiner({ BITTENSOR_NETUID: '1', BITTENSOR_NETWORK: 'local', ...env })
  expect(code).toBe(78)
  expect(stderr).toMatch(new RegExp(`^  ${name}: .+ Example: ${name}=.+$`, 'm'))
  expect(stderr).not.toMatch(/\.ts:\d/)
})

it('the README shows the settings as they are', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  expect(readme).toContain(settingsTable(minerSettings))
})
