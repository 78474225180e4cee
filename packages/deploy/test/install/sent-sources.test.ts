/** Tests which files an install script sends to a server that builds: the sources, but no secrets beside them. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { installScriptPath } from '../../src/install-script.ts'
import { runProgram } from '../../src/testing/run-program.ts'

/** The files of a checkout that the script sends, and those that it must not send. */
const SENT = [
  ...[
    'package.json',
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    '.dockerignore',
    'LICENSE',
    'bin/setup',
    'patches/a.patch',
  ],
  ...['docker/Dockerfile', 'docker/miner.env.example', 'docker/compose.miner.yml', 'packages/miner/src/main.ts'],
]
const NOT_SENT = [
  ...[
    'docker/.env',
    'docker/miner.env',
    'docker/validator.env',
    'docker/wallet/me/coldkey',
    'docker/wallet/me/hotkeys/a',
  ],
  ...['.env', 'packages/miner/.env', 'packages/miner/node_modules/a.js', '.git/config', 'wallet/coldkey', 'run.log'],
]

test('sends a checkout without the settings and wallets that its owner keeps in it', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'source-'))
  stack.defer(() => rm(folder, { recursive: true }))
  for (const name of [...SENT, ...NOT_SENT]) {
    await mkdir(dirname(join(folder, 'checkout', name)), { recursive: true })
    await writeFile(join(folder, 'checkout', name), name)
  }
  const script = await readFile(installScriptPath('miner'), 'utf8')
  const parts = script.slice(0, script.lastIndexOf('main "$@"'))
  const settings = "scratch=$FOLDER source_folder=$FOLDER/checkout source_archive='' image_prefix=''"
  const call = `send_file() { tar -tzf "$2"; }; ${settings}; send_source`
  const { code, output } = await runProgram('bash', ['-c', `${parts}\n${call}`], {
    env: { ...process.env, FOLDER: folder },
  })
  expect(code).toBe(0)
  const files = output.split('\n').filter(line => line !== '' && line !== 'end' && !line.endsWith('/'))
  expect(files.sort()).toEqual(SENT.sort())
})
