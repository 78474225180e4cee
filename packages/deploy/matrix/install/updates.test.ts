/** Updates that fail: killed while they run, a tag that was moved, tables that the old version cannot read. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { Owner } from '../../src/testing/owner.ts'
import { IMAGE_PREFIX, TestRegistry } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const FOLDER = '/opt/compute-horde/validator'
/** Creates the tables by which the server's command sees that the migrations up to 100 have run. */
const MIGRATED_TO_100 =
  'create schema drizzle; create table drizzle.__drizzle_migrations (created_at bigint); ' +
  'insert into drizzle.__drizzle_migrations values (100)'
const FAILED_UPDATE_SECONDS = 120
const PULL = ['--image-prefix', IMAGE_PREFIX, '--network', 'ws://127.0.0.1:9944']

let registry: TestRegistry
let owner: Owner
let server: TestServer
beforeAll(async () => {
  registry = await TestRegistry.start()
  await registry.pushPostgres()
  await registry.pushStandIns('0.1.0')
  await registry.pushStandIns('0.2.0', { migration: 200 })
  await registry.pushStandIns('0.3.0', { exitsAtStart: true })
  await registry.pushStandIns('0.4.0', { failingChecks: ['chain'] })
  await registry.pushStandIns('0.5.0', { failingChecks: ['chain'] })
  await registry.pushStandIns('0.6.0', { failingChecks: ['chain', 'disk'], migration: 200 })
  await registry.pushStandIns('0.7.0', { laterFailingChecks: ['class'] })
  await registry.pushStandIns('latest', { label: '0.2.0' })
  server = await TestServer.start({ kind: 'with-docker', registryFolder: registry.imagesFolder })
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  owner = await Owner.open()
})
// All tests share one server, so each removes the role.
afterEach(async () => {
  await server.sh('[ ! -e /opt/compute-horde/validator ] || compute-horde validator uninstall --purge --yes')
  await owner[Symbol.asyncDispose]()
})

const command = (line: string) => server.run(`compute-horde validator ${line}`)
const install = (args: readonly string[] = []) => owner.install('validator', server, { args: [...PULL, ...args] })
const version = () => server.sh(`sed -n 's/^COMPUTE_HORDE_VERSION=//p' ${FOLDER}/.env`)
const sql = (text: string) =>
  server.sh(`docker exec compute-horde-validator_postgres_1 psql -U horde -d horde -Atc "${text}"`)

test('after an update failed twice, a rollback still returns to the version before', async () => {
  await install()
  expect((await command('update 0.2.0')).code).toBe(0)
  expect((await command('update 0.3.0')).code).toBe(1)
  expect((await command('update 0.3.0')).code).toBe(1)
  expect(await version()).toBe('0.2.0')
  expect((await command('rollback --yes')).code).toBe(0)
  expect(await version()).toBe('0.1.0')
})

test('keeps an update that fails the same checks as before, and undoes one that fails more', async () => {
  const first = await install(['--version', '0.4.0'])
  expect(first.output).toContain('validator 0.4.0 runs, and is not ready yet: it lacks: chain.')
  expect(first.output).toContain('It is not ready yet, and lacks: chain')
  expect(first.code).toBe(0)
  const status = await command('status')
  expect(status.output).toContain('now: it lacks: chain (what to do about it: compute-horde validator check)')
  expect(status.code).toBe(1)
  const updated = await command('update 0.5.0')
  expect(updated.output).toContain('validator 0.5.0 runs, and is not ready yet: it lacks: chain.')
  expect(updated.code).toBe(0)
  const worse = await command('update 0.6.0')
  expect(worse.output).toContain('The validator is not healthy after 75 s: it lacks: chain disk')
  expect(worse.output).toContain('validator 0.5.0 runs again, with the database as it is: it lacks: chain.')
  expect(worse.code).toBe(1)
  expect(worse.seconds).toBeLessThan(FAILED_UPDATE_SECONDS)
  expect(await version()).toBe('0.5.0')
})

test('undoes an update whose check only warns at first and fails later', async () => {
  await install()
  const worse = await command('update 0.7.0')
  expect(worse.output).toContain('The validator is not healthy after 75 s: it lacks: class')
  expect(worse.output).toContain('validator 0.1.0 is healthy again, with the database as it is.')
  expect(worse.code).toBe(1)
  expect(worse.seconds).toBeLessThan(FAILED_UPDATE_SECONDS)
  expect(await version()).toBe('0.1.0')
})

test('restores the backup when it undoes an update to tables that the old version cannot read', async () => {
  await install()
  await sql(MIGRATED_TO_100)
  await sql('create table jobs (id int); insert into jobs values (1)')
  const update = server.run(
    'COMPUTE_HORDE_HEALTHY_SECONDS=30 compute-horde validator update 0.6.0 >/root/update.log 2>&1',
  )
  await server.waitUntil('grep -q "Starting validator 0.6.0" /root/update.log')
  await sql('insert into drizzle.__drizzle_migrations values (200); insert into jobs values (2)')
  expect((await update).code).toBe(1)
  const log = await server.sh('cat /root/update.log')
  expect(log).toMatch(
    /cannot read the current database\. Restoring the backup from before the update: .*\.tar\nData written since then is lost\.\nvalidator 0\.1\.0 is healthy again, with the database of the backup\./,
  )
  expect(await sql('select id from jobs')).toBe('1')
  expect(await version()).toBe('0.1.0')
})

test('a rollback without a backup that the old version can read changes nothing', async () => {
  await install()
  expect((await command('update 0.2.0')).code).toBe(0)
  await sql(MIGRATED_TO_100)
  await sql('insert into drizzle.__drizzle_migrations values (200)')
  await server.sh('rm /opt/compute-horde/validator/backups/*')
  const refused = await command('rollback --yes')
  expect(refused.output).toContain('can read no backup in /opt/compute-horde/validator/backups')
  expect(refused.code).toBe(1)
  expect(await version()).toBe('0.2.0')
  expect((await command('status')).code).toBe(0)
})

test('the next command undoes a killed rollback without losing a row', async () => {
  await install()
  await sql(MIGRATED_TO_100)
  await sql('create table jobs (id int)')
  expect((await command('update 0.2.0')).code).toBe(0)
  await sql('insert into drizzle.__drizzle_migrations values (200); insert into jobs values (1)')
  await server.sh('(setsid compute-horde validator rollback --yes >/root/rollback.log 2>&1 </dev/null &)')
  await server.waitUntil('grep -q "^Restoring" /root/rollback.log')
  await server.sh('pkill -9 -f "[c]ompute-horde validator rollback"')
  const next = await command('backup')
  expect(next.output).toContain('An update to 0.1.0 was interrupted. Finishing it')
  expect(next.code).toBe(0)
  expect([await version(), await sql('select count(*) from jobs')]).toEqual(['0.2.0', '1'])
  expect((await command('status')).code).toBe(0)
})

test('keeps the backup that a rollback needs, however many backups follow', async () => {
  await install()
  const updated = await command('update 0.2.0')
  const needed = /Backup: (.*)/.exec(updated.output)?.[1]
  for (let i = 0; i < 11; i++) expect((await command('backup')).code).toBe(0)
  const kept = await server.sh('ls /opt/compute-horde/validator/backups/*.tar')
  expect(kept.split('\n')).toHaveLength(11)
  expect(kept).toContain(needed)
})

test('monitoring keeps running during an update and is removed with the role', async () => {
  await install()
  // The test's registry has neither program, so the stand-in image replaces them.
  const settings = [
    'COMPOSE_PROFILES=monitoring',
    ...['PROMETHEUS', 'GRAFANA'].map(name => `${name}_IMAGE=${IMAGE_PREFIX}/validator:0.1.0`),
  ]
  await server.sh(`printf '${settings.join('\\n')}\\n' >>${FOLDER}/.env`)
  const names = async () =>
    (await server.sh(`docker ps -a --format '{{.Label "com.docker.compose.service"}} {{.State}}' | sort`)).split('\n')
  expect((await install()).code).toBe(0)
  const all = ['grafana running', 'postgres running', 'prometheus running', 'validator running']
  expect(await names()).toEqual(all)
  expect((await command('update 0.2.0')).code).toBe(0)
  expect(await names()).toEqual(all)
  expect((await command('uninstall --yes')).code).toBe(0)
  expect(await server.sh('docker ps -aq')).toBe('')
  expect((await server.sh('docker volume ls -q')).split('\n')).toHaveLength(3)
  expect((await command('uninstall --purge --yes')).code).toBe(0)
  expect(await server.sh('docker volume ls -q; docker network ls -q --filter name=compute-horde')).toBe('')
})

test('the next command finishes or undoes an update that was killed while it switched versions', async () => {
  await install()
  await server.sh('(setsid compute-horde validator update 0.3.0 >/root/update.log 2>&1 </dev/null &)')
  await server.waitUntil('grep -q "Starting validator 0.3.0" /root/update.log')
  await server.sh('pkill -9 -f "[c]ompute-horde validator update"')
  const next = await command('update 0.2.0')
  expect(next.output).toContain('An update to 0.3.0 was interrupted. Finishing it')
  expect(next.code).toBe(0)
  expect(await version()).toBe('0.2.0')
})

test('refuses a tag whose image has changed, unless the owner names the digest', async () => {
  await install()
  await command('update 0.2.0')
  await command('rollback --yes')
  await registry.pushStandIns('0.2.0', { migration: 999 })
  const refused = await command('update 0.2.0')
  expect(refused.output).toMatch(/0\.2\.0 now names another image: its digest was sha256:[0-9a-f]{64} and is sha256:/)
  expect(await version()).toBe('0.1.0')
  const digest = /and is (sha256:[0-9a-f]{64})/.exec(refused.output)?.[1]
  expect((await command(`update 0.2.0@${digest}`)).code).toBe(0)
  expect(await version()).toBe('0.2.0')
  await registry.pushStandIns('0.2.0', { migration: 200 })
})

test('the install script updates with a backup, and undoes an update that does not become healthy', async () => {
  await install()
  const updated = await install(['--version', '0.2.0'])
  expect(updated.output).toContain('validator 0.2.0 is healthy.')
  expect(await server.sh('ls /opt/compute-horde/validator/backups | wc -l')).toBe('1')
  const unhealthy = await install(['--version', '0.3.0'])
  expect(unhealthy.output).toContain('validator 0.2.0 is healthy again')
  expect(unhealthy.code).toBe(1)
  expect(await version()).toBe('0.2.0')
})

test('installs a timer that updates to `latest` only with --auto-update', async () => {
  await install()
  expect(await server.sh('systemctl list-timers --all --no-legend | grep -c compute-horde || true')).toBe('0')
  await install(['--auto-update'])
  expect(await server.sh('systemctl is-enabled compute-horde-validator-update.timer')).toBe('enabled')
  await server.sh('systemctl start compute-horde-validator-update.service')
  expect(await version()).toBe('0.2.0')
  expect((await command('uninstall --yes')).code).toBe(0)
  expect(await server.sh('ls /etc/systemd/system | grep -c compute-horde || true')).toBe('0')
})

test('a role that was uninstalled without --purge keeps its database for the next installation', async () => {
  await install()
  await sql('create table jobs (id int); insert into jobs values (7)')
  await command('uninstall --yes')
  expect(await server.sh('docker ps -aq')).toBe('')
  await install()
  expect(await sql('select id from jobs')).toBe('7')
})

test('installs another hotkey and restarts the role with it', async () => {
  await install()
  const started = () => server.sh('docker inspect --format "{{.State.StartedAt}}" compute-horde-validator_validator_1')
  const before = await started()
  const other = join(owner.folder, 'other hotkey')
  await writeFile(other, (await readFile(owner.hotkey, 'utf8')).replace('"secretPhrase":null', '"secretPhrase":""'))
  const ended = await owner.install('validator', server, { args: PULL, hotkey: other })
  expect(ended.output).toContain('The hotkey has changed: the validator restarts with it')
  expect(await started()).not.toBe(before)
  expect(await server.sh('cat /opt/compute-horde/validator/wallet/default/hotkeys/default')).toBe(
    await readFile(other, 'utf8'),
  )
})

test('the role is healthy again after a reboot', async () => {
  await install()
  await server.reboot()
  await server.waitUntil(
    'test "$(docker inspect --format "{{.State.Health.Status}}" compute-horde-validator_validator_1)" = healthy',
  )
  expect((await command('status')).code).toBe(0)
})
