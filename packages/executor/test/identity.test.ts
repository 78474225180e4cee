import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { containerIdentity } from '@horde/protocol/executor-labels'
import { PYTHON } from '@horde/testing/jobs/executor-job'
import { expect, test } from 'vitest'
import { identityText } from '../src/engine/identity.ts'

const SOURCES = fileURLToPath(new URL('../src', import.meta.url))

/** Runs as another user than that of the process which it judges; prints what it sees of it, and its judgements. */
const JUDGE = `
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { isDeadProcess, startTimeOf } from '/src/engine/identity.ts'
const neighbour = spawn('sleep', ['60'])
const self = { kind: 'process', machine: 'm', boot: 'b', namespace: 'n', pid: process.pid, started: startTimeOf(process.pid) }
const alive = { ...self, pid: neighbour.pid, started: startTimeOf(neighbour.pid) }
process.setgroups([]); process.setgid(65534); process.setuid(65534)
const [hidden, gone] = [!existsSync('/proc/' + neighbour.pid), { ...alive, pid: neighbour.pid + 1_000 }]
console.log(JSON.stringify({ hidden, alive: isDeadProcess(alive, self), gone: isDeadProcess(gone, self), self: isDeadProcess(self, self) }))
process.exit()
`

test('an executor in a container is named as its miner looks for it', () => {
  expect(identityText({ kind: 'container', id: 'f00' })).toBe(containerIdentity('f00'))
})

test('where /proc hides the processes of others, a neighbour that lives is not taken for dead', async () => {
  const mayMount = ['--cap-add', 'SYS_ADMIN', '--security-opt', 'apparmor=unconfined', '--user', '0:0']
  const remount = `python -c 'import ctypes; exit(ctypes.CDLL(None).mount(b"proc", b"/proc", b"proc", 32, b"hidepid=2"))'`
  const command = ['-c', `${remount} && exec /node --input-type=module -e "$JUDGE"`]
  const volumes = ['--volume', `${SOURCES}:/src:ro`, '--volume', `${process.execPath}:/node:ro`]
  const { stdout } = await promisify(execFile)('docker', [
    ...['run', '--rm', '--init', '--network', 'none', ...mayMount, ...volumes],
    ...['--env', `JUDGE=${JUDGE}`, '--entrypoint', 'sh', PYTHON, ...command],
  ])
  expect(JSON.parse(stdout)).toEqual({ hidden: true, alive: false, gone: true, self: false })
})
