/** Names whose addresses change, with a real name server. Needs root, or sudo without a password. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const SCRIPT = fileURLToPath(new URL('./own-network.ts', import.meta.url))
/** A public address, and an address of this machine. */
const ADDRESSES = 'ip link set lo up && ip route add local 8.8.4.4/32 dev lo && ip addr add 8.8.8.8/32 dev lo'
const SETUP = `${ADDRESSES} && mount --bind "$0" /etc/resolv.conf && exec "$@"`
const OWN = 'Input URL refused: it points to the machine of the executor'
const REFUSED = 'Input URL refused: it points into a private network'

test('connects to the address that was checked, even if the name changes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rebinding-'))
  await writeFile(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\n')
  const namespaces = ['unshare', '--net', '--mount', '--propagation', 'private']
  const inside = [...namespaces, 'sh', '-c', SETUP, join(folder, 'resolv.conf'), process.execPath, SCRIPT]
  const [command = '', ...args] = process.getuid?.() === 0 ? inside : ['sudo', '-n', ...inside]
  const { stdout } = await promisify(execFile)(command, args)
  await rm(folder, { recursive: true })
  expect(JSON.parse(stdout)).toEqual({
    same: { outcome: 'public', lookups: 1 },
    redirected: { outcome: REFUSED, lookups: 2 },
    retried: { outcome: REFUSED, lookups: 2 },
    both: { outcome: 'public', lookups: 1 },
    private: { outcome: REFUSED, lookups: 1 },
    own: { outcome: OWN, lookups: 1 },
    address: { outcome: OWN, lookups: 0 },
    leaked: 0,
  })
})
