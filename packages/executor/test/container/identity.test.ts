import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { containerIdentity } from '@horde/protocol/executor/labels'
import { PYTHON } from '@horde/testing/jobs/executor-job'
import { expect, test } from 'vitest'
import { identityText } from '../../src/workspace/identity.ts'

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url))

/** Runs as another user than the process that it judges. Prints whether it sees that process, and its judgements. */
const JUDGE = `
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { isDeadProcess, startTimeOf } from '/src/workspace/identity.ts'
const other = spawn('sleep', ['60'])
const { pid } = process
const self = { kind: 'process', machine: 'm', boot: 'b', namespace: 'n', pid, started: startTimeOf(pid) }
const alive = { ...self, pid: other.pid, started: startTimeOf(other.pid) }
process.setgroups([]); process.setgid(65534); process.setuid(65534)
const [hidden, gone] = [!existsSync('/proc/' + other.pid), { ...alive, pid: other.pid + 1_000 }]
const dead = { alive: isDeadProcess(alive, self), gone: isDeadProcess(gone, self), self: isDeadProcess(self, self) }
console.log(JSON.stringify({ hidden, ...dead }))
process.exit()
`

test('has the identity in a container for which its miner looks', () => {
  expect(identityText({ kind: 'container', id: 'f00' })).toBe(containerIdentity('f00'))
})

test("does not count a live executor as dead where /proc hides other users' processes", async () => {
  const mayMount = ['--cap-add', 'SYS_ADMIN', '--security-opt', 'apparmor=unconfined', '--user', '0:0']
  const mount = 'ctypes.CDLL(None).mount(b"proc", b"/proc", b"proc", 32, b"hidepid=2")'
  const remount = `python -c 'import ctypes; exit(${mount})'`
  const command = ['-c', `${remount} && exec /node --input-type=module -e "$JUDGE"`]
  const volumes = ['--volume', `${SOURCES}:/src:ro`, '--volume', `${process.execPath}:/node:ro`]
  const { stdout } = await promisify(execFile)('docker', [
    ...['run', '--rm', '--init', '--network', 'none', ...mayMount, ...volumes],
    ...['--env', `JUDGE=${JUDGE}`, '--entrypoint', 'sh', PYTHON, ...command],
  ])
  expect(JSON.parse(stdout)).toEqual({ hidden: true, alive: false, gone: true, self: false })
})
