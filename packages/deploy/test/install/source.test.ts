/** What leaves the owner's machine when a server is to build: the sources, and no secret that lies among them. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { installScriptPath } from '../../src/install-script.ts'
import { run } from '../../src/testing/run-program.ts'

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
const KEPT = [
  ...[
    'docker/.env',
    'docker/miner.env',
    'docker/validator.env',
    'docker/wallet/me/coldkey',
    'docker/wallet/me/hotkeys/a',
  ],
  ...['.env', 'packages/miner/.env', 'packages/miner/node_modules/a.js', '.git/config', 'wallet/coldkey', 'run.log'],
]

test('a checkout is sent without the settings and wallets that its owner keeps in it', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'source-'))
  stack.defer(() => rm(folder, { recursive: true }))
  for (const name of [...SENT, ...KEPT]) {
    await mkdir(dirname(join(folder, 'checkout', name)), { recursive: true })
    await writeFile(join(folder, 'checkout', name), name)
  }
  const script = await readFile(installScriptPath('miner'), 'utf8')
  const parts = script.slice(0, script.lastIndexOf('main "$@"'))
  const call = `send_file() { tar -tzf "$2"; }; scratch=$FOLDER source_folder=$FOLDER/checkout source_archive='' image_prefix=''; send_source`
  const { code, output } = await run('bash', ['-c', `${parts}\n${call}`], { env: { ...process.env, FOLDER: folder } })
  expect(code).toBe(0)
  const files = output.split('\n').filter(line => line !== '' && line !== 'end' && !line.endsWith('/'))
  expect(files.sort()).toEqual(SENT.sort())
})
