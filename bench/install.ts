/**
 * How long install_miner.sh takes from nothing to healthy, and what each of its steps takes: a bare test server, real images
 * from a registry on its loopback. Then the same command again, and a server that has Docker already.
 */
import { RealRoles, stepsOf } from '@horde/deploy/testing/real-roles'
import type { Ended } from '@horde/deploy/testing/run-program'
import { IMAGE_PREFIX } from '@horde/deploy/testing/test-registry'
import { TestServer } from '@horde/deploy/testing/test-server'

await using roles = await RealRoles.start()

for (const kind of ['bare', 'with-docker'] as const) {
  await using server = await TestServer.start({ kind, registry: roles.registry.images })
  const options = { hotkey: roles.hotkeyPath('miner'), args: [...roles.network, '--image-prefix', IMAGE_PREFIX] }
  print(`onto a server that is ${kind}`, await roles.owner.install('miner', server, options))
  print('again', await roles.owner.install('miner', server, options))
}

function print(title: string, ended: Ended): void {
  if (ended.code !== 0) throw new Error(ended.output)
  const steps = stepsOf(ended).map(({ step, seconds }) => `  ${step.padEnd(28)}${String(seconds).padStart(4)} s`)
  process.stdout.write([`install_miner.sh ${title}: ${ended.seconds.toFixed(0)} s`, ...steps, ''].join('\n'))
}
