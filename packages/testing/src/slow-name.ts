/**
 * A private network in which a name has two addresses. The first belongs to the network and loses the first packet of
 * each connection, so that connecting takes a second. The other never answers. Needs root, or sudo without a password.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PrivateNetwork } from './private-network.ts'

export const SLOW_NAME = 'slow.example'
/** A public address of the internet, which only the private network uses for itself. */
export const SLOW_ADDRESS = '8.8.4.4'
const DEAD_ADDRESS = '2001:4860:4860::8844'

/** Matches the first packet of a connection: the first from its source port. */
const FIRST_PACKET = [
  `--destination ${SLOW_ADDRESS} --protocol tcp --syn`,
  '--match hashlimit --hashlimit-name slow --hashlimit-mode srcport --hashlimit-upto 1/hour --hashlimit-burst 1',
].join(' ')

/** Runs a Node script in such a network, and returns its stdout. */
export async function runBesideSlowName(script: string): Promise<string> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'horde-slow-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const hosts = join(folder, 'hosts')
  await writeFile(hosts, `127.0.0.1 localhost\n${SLOW_ADDRESS} ${SLOW_NAME}\n${DEAD_ADDRESS} ${SLOW_NAME}\n`)
  const network = stack.use(
    await PrivateNetwork.start([
      'ip link set lo up',
      // A local route, so that the address is not listed as one of this machine's own.
      `ip route add local ${SLOW_ADDRESS}/32 dev lo`,
      `iptables --wait --append INPUT ${FIRST_PACKET} --jump DROP`,
      `mount --bind ${hosts} /etc/hosts`,
    ]),
  )
  const [program, ...args] = network.inside(process.execPath, script)
  return (await promisify(execFile)(program, args)).stdout
}
