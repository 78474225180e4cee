/** Installs both roles with real images on a new server: images from a registry, and images built on the server. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { RealRoles, SERVER_BASE_IMAGE } from '../../src/testing/real-roles.ts'
import { runProgram } from '../../src/testing/run-program.ts'
import { IMAGE_PREFIX } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const DONE = 'What to do next:'
/** The aim for a second run is 30 s on an idle machine; a test allows twice that. */
const SECOND_RUN_SECONDS = 60
/** How long the roles may take to be healthy after a reboot. */
const REBOOTED_MS = 240_000
/** How long building on the server may take: four times as long as on an idle machine. */
const BUILD_MS = 2_400_000
/** The servers have no GPU. */
const CLASS = ['--class', 'always_on.test']
const CHECKOUT = join(import.meta.dirname, '../../../..')
const ARCHIVE = '/root/compute-horde.tar.gz'
/** Where Debian keeps the certificates that were added to a machine. A build needs them behind a proxy. */
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

test('installs both roles on a fresh server, where they survive a second installation and a reboot', async () => {
  const fresh = await TestServer.start({ kind: 'fresh', registryFolder: roles.registry.imagesFolder })
  server = fresh
  const args = [...roles.networkArgs, '--image-prefix', IMAGE_PREFIX]
  const miner = await roles.owner.install('miner', fresh, {
    user: 'deploy',
    piped: true,
    hotkey: roles.hotkeyPath('miner'),
    args: [...args, ...CLASS],
  })
  expect(miner.output).toContain(DONE)
  const validator = await roles.owner.install('validator', fresh, { hotkey: roles.hotkeyPath('validator'), args })
  expect(validator.output).toContain(DONE)
  const running = () => fresh.sh('docker inspect --format "{{.Id}} {{.State.StartedAt}}" $(docker ps -q) | sort')
  const before = await running()
  const again = await roles.owner.install('miner', fresh, {
    hotkey: roles.hotkeyPath('miner'),
    args: [...args, ...CLASS],
  })
  expect(again.output).toContain(DONE)
  expect(again.seconds).toBeLessThan(SECOND_RUN_SECONDS)
  expect(await running()).toBe(before)
  const open = await fresh.sh("ss -Htln | awk '{ print $4 }' | grep -vE '^127\\.|:22$' | sort -u")
  for (const address of open.split('\n')) expect(address).toMatch(/:8000$/)
  await fresh.reboot()
  for (const role of ['miner', 'validator']) await fresh.waitUntil(`compute-horde ${role} status`, REBOOTED_MS)
})

test('builds a miner on a server that has only Docker, and does not build the same sources twice', {
  timeout: 2 * BUILD_MS,
}, async () => {
  server = await TestServer.start({ kind: 'with-docker', registryFolder: roles.registry.imagesFolder })
  for (const name of await readdir(CERTIFICATES)) {
    await server.writeFile(`${CERTIFICATES}/${name}`, await readFile(join(CERTIFICATES, name), 'utf8'))
  }
  const args = [...roles.networkArgs, ...CLASS, '--base-image', SERVER_BASE_IMAGE]
  const options = { hotkey: roles.hotkeyPath('miner'), args, timeoutMs: BUILD_MS }
  const built = await roles.owner.install('miner', server, options)
  expect(built.output).toContain(DONE)
  const again = await roles.owner.install('miner', server, options)
  expect(again.output).toContain(DONE)
  expect(again.output).not.toContain('Building')
  expect(again.seconds).toBeLessThan(SECOND_RUN_SECONDS)

  // An archive has more files than the sources that the script sends, so it makes another version.
  await copyArchive(server)
  const update = `compute-horde miner update --from ${ARCHIVE}`
  expect((await server.run(update)).output).toContain(`there is no checksum for ${ARCHIVE}`)
  const refused = await server.run(`${update}#sha256=${'0'.repeat(64)}`)
  expect(refused.output).toContain('the archive has the wrong checksum')
  const updated = await server.run(`${update}#sha256=$(sha256sum ${ARCHIVE} | cut -c1-64)`)
  expect(updated.output).toMatch(/^Starting miner (\S+-[0-9a-f]{12}) in place of (?!\1)\S+-[0-9a-f]{12}$/m)
  expect(updated.output).toMatch(/^miner \S+ is healthy\.$/m)
  expect(updated.code).toBe(0)
  const back = await server.run('compute-horde miner rollback --yes')
  expect(back.output).not.toContain('Building')
  expect(back.code, back.output).toBe(0)
})

/** Copies an archive of the sources, like that of a release, to the server. */
async function copyArchive({ container }: TestServer): Promise<void> {
  const pack = 'git archive --format=tar.gz --prefix=compute-horde/ HEAD'
  const put = `docker exec -i ${container} sh -c 'cat >${ARCHIVE}'`
  const copied = await runProgram('bash', ['-c', `set -o pipefail; ${pack} | ${put}`], { cwd: CHECKOUT })
  if (copied.code !== 0) throw new Error(copied.output)
}
