/**
 * A private network where a name has two addresses. The first loses the first packet of each connection, so that
 * connecting takes a second. The second is dead. Needs root, or sudo without a password.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PrivateNetwork } from './private-network.ts'

export const SLOW_NAME = 'slow.example'
/** A public address, which only the private network answers for. */
export const SLOW_ADDRESS = '8.8.4.4'
const DEAD_ADDRESS = '2001:4860:4860::8844'

/** Matches the first packet from each source port, which is the first of a connection. */
const FIRST_PACKET = [
  `--destination ${SLOW_ADDRESS} --protocol tcp --syn`,
  '--match hashlimit --hashlimit-name slow --hashlimit-mode srcport --hashlimit-upto 1/hour --hashlimit-burst 1',
].join(' ')

/** Runs a Node script in such a network. Returns what it printed. */
export async function runBesideSlowName(script: string): Promise<string> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'horde-slow-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const hosts = join(folder, 'hosts')
  await writeFile(hosts, `127.0.0.1 localhost\n${SLOW_ADDRESS} ${SLOW_NAME}\n${DEAD_ADDRESS} ${SLOW_NAME}\n`)
  const network = stack.use(
    await PrivateNetwork.start([
      'ip link set lo up',
      // A local route instead of an address: programs that list this machine's addresses do not find it.
      `ip route add local ${SLOW_ADDRESS}/32 dev lo`,
      `iptables --wait --append INPUT ${FIRST_PACKET} --jump DROP`,
      `mount --bind ${hosts} /etc/hosts`,
    ]),
  )
  const [program, ...args] = network.inside(process.execPath, script)
  return (await promisify(execFile)(program, args)).stdout
}
