/** Installs, updates, rolls back, restores and removes a role on one server that has only Docker at first. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LeakWatch } from '../../src/testing/leak-watch.ts'
import { COLDKEY_SECRET, HOTKEY_ADDRESS, HOTKEY_SEED, Owner } from '../../src/testing/owner.ts'
import type { ProgramResult } from '../../src/testing/run-program.ts'
import { buildPostgres, IMAGE_PREFIX, TestRegistry } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const FOLDER = '/opt/compute-horde/validator'
const PULL = ['--image-prefix', IMAGE_PREFIX, '--network', 'ws://127.0.0.1:9944', '--netuid', '7']
/** The aim for a second run is 30 s on an idle machine; a test allows twice that. */
const SECOND_RUN_SECONDS = 60
/** How long an update may take that fails and returns to the old version. */
const FAILED_UPDATE_SECONDS = 120
/** How long building the images and installing may take. */
const SETUP_MS = 600_000

let registry: TestRegistry
let server: TestServer
let owner: Owner
let installed: ProgramResult
let dryRun: ProgramResult
/** The paths of files that the dry run created. */
let createdByDryRun: string
let observed: Awaited<ReturnType<LeakWatch['stop']>>
/** The files with secrets that other users could read at the start of each step, and at the end. */
let readable: Promise<string>[]

beforeAll(async () => {
  registry = await TestRegistry.start()
  owner = await Owner.open()
  server = await TestServer.start({ kind: 'with-docker', registryFolder: registry.imagesFolder })
  const images = Promise.all([
    buildPostgres().then(image => server.loadImage(image, 'postgres:15')),
    registry.pushStandIns('0.1.0'),
    registry.pushStandIns('0.2.0', { migration: 300 }),
    registry.pushStandIns('0.3.0', { exitsAtStart: true, migration: 300 }),
  ])
  const listNewFiles =
    'find / -xdev -newer /etc/test-registry.yml -type f -not -path "/var/lib/docker/*" -not -path "/var/log/*" | sort'
  const before = await server.sh(listNewFiles)
  dryRun = await owner.install('validator', server, { user: 'deploy', args: [...PULL, '--dry-run'] })
  createdByDryRun = (await server.sh(listNewFiles)).replace(before, '')
  await images
  const leaks = new LeakWatch()
  readable = []
  const onOutput = (output: string) => {
    const steps = output.split('\n== ').length - 1
    while (readable.length < steps) readable.push(filesWithReadableSecrets())
  }
  installed = await owner.install('validator', server, { user: 'deploy', piped: true, args: PULL, onOutput })
  readable.push(filesWithReadableSecrets())
  observed = await leaks.stop()
}, SETUP_MS)
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await owner?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

/**
 * Lists the files with a secret that a user other than root can read now. The pattern does not contain the secret, so
 * the search does not find itself.
 */
function filesWithReadableSecrets(): Promise<string> {
  const pattern = `${HOTKEY_SEED.slice(0, -1)}[${HOTKEY_SEED.slice(-1)}]|POSTGRES_PASSWORD=[0-9a-f]{48}`
  const search = `grep -rlE '${pattern}' /opt /etc /home /root /tmp /var /run /usr/local /dev/shm`
  return server.sh(`setpriv --reuid=owner --regid=owner --clear-groups ${search} 2>/dev/null || true`)
}

/** Runs a command of compute-horde on the server. */
const command = (line: string) => server.run(`compute-horde validator ${line}`)
const sql = (text: string) =>
  server.sh(`docker exec compute-horde-validator_postgres_1 psql -U horde -d horde -Atc "${text}"`)
/** The running containers, with the times at which they started. */
const containers = () => server.sh('docker inspect --format "{{.Id}} {{.State.StartedAt}}" $(docker ps -q) | sort')
const version = () => server.sh(`sed -n 's/^COMPUTE_HORDE_VERSION=//p' ${FOLDER}/.env`)

test('a dry run prints every step and every file, and changes nothing', () => {
  expect(dryRun.output).toContain(`- pull ${IMAGE_PREFIX}/validator:0.1.0`)
  expect(dryRun.output).toContain('  | BITTENSOR_NETUID=7\n')
  expect(dryRun.output).toContain('  | services:\n')
  expect(dryRun.output).toContain('Dry run: nothing was changed.')
  expect(createdByDryRun).toBe('')
})

test('installs through a pipe, as a user with sudo, from a wallet path with spaces', async () => {
  expect(installed.output).toContain('What to do next:')
  expect(installed.code).toBe(0)
  expect(installed.output).toContain(HOTKEY_ADDRESS)
  expect(
    await server.sh('docker inspect --format "{{.State.Health.Status}}" compute-horde-validator_validator_1'),
  ).toBe('healthy')
  expect(await server.sh(`ls ${FOLDER}/monitoring`)).toContain('prometheus.validator.yml')
  expect(await server.sh(`grep -E '^BITTENSOR_NET' ${FOLDER}/.env`)).toBe(
    'BITTENSOR_NETUID=7\nBITTENSOR_NETWORK=ws://127.0.0.1:9944',
  )
})

test('copies the hotkey and the public part of the coldkey, readable by the role alone', async () => {
  expect(await server.sh(`cd ${FOLDER}/wallet && find . -type f -printf '%P %m %U\\n' | sort`)).toBe(
    'default/coldkeypub.txt 600 1000\ndefault/hotkeys/default 600 1000',
  )
  expect(await server.sh(`stat -c %a ${FOLDER}/.env`)).toBe('600')
  // The coldkey is nowhere on the server.
  expect(await server.sh(`grep -rlF '${COLDKEY_SECRET}' /opt /etc /home /root /tmp /var/log 2>/dev/null || true`)).toBe(
    '',
  )
})

test('leaves no secret in output, command lines, logs or files that other users can read', async () => {
  const password = await server.sh(`sed -n 's/^POSTGRES_PASSWORD=//p' ${FOLDER}/.env`)
  expect(password).toMatch(/^[0-9a-f]{48}$/)
  const secrets = [password, HOTKEY_SEED]
  for (const secret of secrets) {
    expect(installed.output).not.toContain(secret)
    expect(observed.commandLines.filter(line => line.includes(secret))).toEqual([])
    expect(observed.fileContents.filter(text => text.includes(secret))).toEqual([])
    // While the engine runs a health check, runc keeps the container's environment in a file that only root can read.
    const search = `grep -rlF --exclude='runc-process*' '${secret}' /var/log /root /home /tmp 2>/dev/null || true`
    expect(await server.sh(search)).toBe('')
  }
  // Five steps and the end.
  expect(await Promise.all(readable)).toEqual(['', '', '', '', '', ''])
  // Both kinds of observation have seen the installation at work.
  expect(observed.commandLines.some(line => line.includes('compute-horde-validator'))).toBe(true)
  expect(observed.fileContents.some(text => text.includes('say') || text.includes('end 0'))).toBe(true)
})

test('opens ports only on loopback', async () => {
  const listeners = await server.sh("ss -Htln | awk '{ print $4 }' | grep -vE ':(22|5000)$' | sort -u")
  for (const address of listeners.split('\n')) expect(address).toMatch(/^127\.0\.0\.1:/)
  expect(listeners).toContain('127.0.0.1:8001')
})

test('a second run is short and restarts nothing', async () => {
  const before = await containers()
  const again = await owner.install('validator', server, { user: 'deploy', args: PULL })
  expect(again.output).toContain('What to do next:')
  expect(again.seconds).toBeLessThan(SECOND_RUN_SECONDS)
  expect(await containers()).toBe(before)
})

test('answers status, check and logs', async () => {
  const status = await command('status')
  expect(status.output).toContain('validator 0.1.0, images')
  expect(status.output).toContain('now: it is ready')
  expect(status.code).toBe(0)
  expect((await command('check')).output).toContain('ok    stand-in: packages/validator/src/main.ts check')
  expect((await command('logs')).output).toContain('Started as 1000.')
  expect(await command('dance')).toMatchObject({ code: 1, output: expect.stringContaining("'dance' is not a command") })
})

test('updates with a backup, and a rollback keeps new rows if the old version can read the database', async () => {
  await sql(
    'create schema drizzle; create table drizzle.__drizzle_migrations (created_at bigint); ' +
      'insert into drizzle.__drizzle_migrations values (100); ' +
      'create table jobs (id int); insert into jobs select generate_series(1, 1000)',
  )
  const updated = await command('update 0.2.0')
  expect(updated.output).toMatch(
    /Backup: .*\nStarting validator 0\.2\.0 in place of 0\.1\.0\nvalidator 0\.2\.0 is healthy\./,
  )
  expect(await version()).toBe('0.2.0')
  expect((await command('update 0.2.0')).output).toBe(
    `Pulling ${IMAGE_PREFIX}/validator:0.2.0\nvalidator 0.2.0 already runs: it is ready.\n`,
  )
  // Simulates the migration by 0.2.0, which records that the previous release can read the result.
  await sql(
    'insert into drizzle.__drizzle_migrations values (200); ' +
      'create table drizzle.oldest_reader (migrated_until bigint, known_until bigint); ' +
      'insert into drizzle.oldest_reader values (200, 100); insert into jobs values (1001)',
  )
  const back = await command('rollback --yes')
  expect(back.output).not.toContain('Restoring')
  expect(back.code).toBe(0)
  expect(await version()).toBe('0.1.0')
  expect(await sql('select count(*) from jobs')).toBe('1001')
})

test('returns to the old version when an update does not become healthy', async () => {
  const updated = await command('update 0.3.0')
  expect(updated.output).toContain('This version ends at its start.')
  expect(updated.output).toContain('validator 0.1.0 is healthy again')
  expect(updated.code).toBe(1)
  expect(updated.seconds).toBeLessThan(FAILED_UPDATE_SECONDS)
  expect(await version()).toBe('0.1.0')
  expect((await command('status')).code).toBe(0)
})

test('a rollback to a version that cannot read the tables asks first, and restores the old backup', async () => {
  const updated = await command('update 0.2.0')
  const before = /Backup: (.*)/.exec(updated.output)?.[1]
  await sql('insert into drizzle.__drizzle_migrations values (300); insert into jobs values (1002)')
  const asked = await command('rollback')
  expect(asked.output).toContain('0.1.0 cannot read the database, which a newer version has changed.')
  expect(asked.output).toContain(`from the backup ${before}.`)
  expect(asked.output).toContain('That backup does not contain data written since then.')
  expect(asked.output).toContain('There is no terminal to ask on.')
  expect(await version()).toBe('0.2.0')
  const back = await command('rollback --yes')
  expect(back.output).toContain('validator 0.1.0 is healthy.')
  expect(back.code).toBe(0)
  expect(await version()).toBe('0.1.0')
  expect(await sql('select count(*), max(id) from jobs')).toBe('1001|1001')
  // The newer version gets its rows back from the backup that the rollback made.
  const newest = /Data that 0\.2\.0 wrote since then is in (.*)\. To restore it/.exec(back.output)?.[1]
  expect((await command(`restore ${newest} --yes`)).output).toContain('is newer than validator 0.1.0 can read')
  expect((await command('update 0.2.0')).code).toBe(0)
  const restored = await command(`restore ${newest} --yes`)
  expect(restored.output).toContain(`Restored ${newest}`)
  expect(restored.code).toBe(0)
  expect(await sql('select count(*), sum(id) from jobs')).toBe('1002|502503')
  expect(await server.sh(`stat -c %a ${newest}`)).toBe('600')
})

test('uninstall --purge asks before it removes anything, and then removes everything', async () => {
  expect((await command('uninstall --purge')).output).toContain('There is no terminal to ask on')
  expect((await command('uninstall --purge --yes')).code).toBe(0)
  expect(
    await server.sh(
      'docker ps -aq; docker volume ls -q; ls /opt/compute-horde /usr/local/bin/compute-horde 2>/dev/null || true',
    ),
  ).toBe('')
})
