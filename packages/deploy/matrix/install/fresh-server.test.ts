/** Both roles with their real images on one server, from nothing to healthy: pulled, and built on the server itself. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { RealRoles, SERVER_BASE_IMAGE } from '../../src/testing/real-roles.ts'
import { run } from '../../src/testing/run-program.ts'
import { IMAGE_PREFIX } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const DONE = 'What to do next:'
const SECOND_RUN_SECONDS = 30
const BACK_MS = 240_000
/** How long building on the server may take: four times what it takes here, in milliseconds. */
const BUILT_MS = 2_400_000
/** The servers have no GPU. */
const CLASS = ['--class', 'always_on.test']
const CHECKOUT = join(import.meta.dirname, '../../../..')
const ARCHIVE = '/root/compute-horde.tar.gz'
/** Where Debian keeps the certificates that were added to a machine, which a build needs behind such a proxy. */
const CERTIFICATES = '/usr/local/share/ca-certificates'

let roles: RealRoles
let server: TestServer | undefined
beforeAll(async () => {
  roles = await RealRoles.start()
})
afterEach(async () => {
  await server?.[Symbol.asyncDispose]()
  server = undefined
})
afterAll(() => roles?.[Symbol.asyncDispose]())

test('both roles are pulled onto a bare server, run beside each other, and are back after a reboot', async () => {
  const bare = await TestServer.start({ kind: 'bare', registry: roles.registry.images })
  server = bare
  const args = [...roles.network, '--image-prefix', IMAGE_PREFIX]
  const miner = await roles.owner.install('miner', bare, {
    user: 'deploy',
    piped: true,
    hotkey: roles.hotkeyPath('miner'),
    args: [...args, ...CLASS],
  })
  expect(miner.output).toContain(DONE)
  const validator = await roles.owner.install('validator', bare, { hotkey: roles.hotkeyPath('validator'), args })
  expect(validator.output).toContain(DONE)
  const running = () => bare.sh('docker inspect --format "{{.Id}} {{.State.StartedAt}}" $(docker ps -q) | sort')
  const before = await running()
  const again = await roles.owner.install('miner', bare, {
    hotkey: roles.hotkeyPath('miner'),
    args: [...args, ...CLASS],
  })
  expect(again.output).toContain(DONE)
  expect(again.seconds).toBeLessThan(SECOND_RUN_SECONDS)
  expect(await running()).toBe(before)
  const open = await bare.sh("ss -Htln | awk '{ print $4 }' | grep -vE '^127\\.|:22$' | sort -u")
  for (const address of open.split('\n')) expect(address).toMatch(/:8000$/)
  await bare.reboot()
  for (const role of ['miner', 'validator']) await bare.until(`compute-horde ${role} status`, BACK_MS)
})

test('a miner is built on the server, with Docker and nothing else, and the same sources are not built twice', {
  timeout: 2 * BUILT_MS,
}, async () => {
  server = await TestServer.start({ kind: 'with-docker', registry: roles.registry.images })
  for (const name of await readdir(CERTIFICATES)) {
    await server.write(`${CERTIFICATES}/${name}`, await readFile(join(CERTIFICATES, name), 'utf8'))
  }
  const args = [...roles.network, ...CLASS, '--base-image', SERVER_BASE_IMAGE]
  const options = { hotkey: roles.hotkeyPath('miner'), args, withinMs: BUILT_MS }
  const built = await roles.owner.install('miner', server, options)
  expect(built.output).toContain(DONE)
  const again = await roles.owner.install('miner', server, options)
  expect(again.output).toContain(DONE)
  expect(again.output).not.toContain('Building')
  expect(again.seconds).toBeLessThan(SECOND_RUN_SECONDS)

  // An archive holds more than what the script sends, so it is another version.
  await bringArchive(server)
  const update = `compute-horde miner update --from ${ARCHIVE}`
  expect((await server.try(update)).output).toContain(`there is no checksum for ${ARCHIVE}`)
  const refused = await server.try(`${update}#sha256=${'0'.repeat(64)}`)
  expect(refused.output).toContain('the archive has the wrong checksum')
  const updated = await server.try(`${update}#sha256=$(sha256sum ${ARCHIVE} | cut -c1-64)`)
  expect(updated.output).toMatch(/^Starting miner (\S+-[0-9a-f]{12}) in place of (?!\1)\S+-[0-9a-f]{12}$/m)
  expect(updated.output).toMatch(/^miner \S+ is healthy\.$/m)
  expect(updated.code).toBe(0)
  const back = await server.try('compute-horde miner rollback --yes')
  expect(back.output).not.toContain('Building')
  expect(back.code, back.output).toBe(0)
})

/** Puts the sources onto the server as a release has them. */
async function bringArchive({ container }: TestServer): Promise<void> {
  const pack = 'git archive --format=tar.gz --prefix=compute-horde/ HEAD'
  const put = `docker exec -i ${container} sh -c 'cat >${ARCHIVE}'`
  const brought = await run('bash', ['-c', `set -o pipefail; ${pack} | ${put}`], { cwd: CHECKOUT })
  if (brought.code !== 0) throw new Error(brought.output)
}
