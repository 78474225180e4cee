/** Updates that go wrong in the ways they do: killed in the middle, a moved tag, a schema the old version cannot use. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { Owner } from '../../src/testing/owner.ts'
import { IMAGE_PREFIX, TestRegistry } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const FOLDER = '/opt/compute-horde/validator'
/** What a database looks like to the server's command after a version that knows migrations up to 100. */
const MIGRATED_AT_100 =
  'create schema drizzle; create table drizzle.__drizzle_migrations (created_at bigint); insert into drizzle.__drizzle_migrations values (100)'
const UPDATE_BACK_SECONDS = 120
const PULL = ['--image-prefix', IMAGE_PREFIX, '--network', 'ws://127.0.0.1:9944']

let registry: TestRegistry
let owner: Owner
let server: TestServer
beforeAll(async () => {
  registry = await TestRegistry.start()
  await registry.pushPostgres()
  await registry.pushStandIns('0.1.0')
  await registry.pushStandIns('0.2.0', { migration: 200 })
  await registry.pushStandIns('0.3.0', { healthy: 'exits' })
  await registry.pushStandIns('0.4.0', { lacks: ['chain'] })
  await registry.pushStandIns('0.5.0', { lacks: ['chain'] })
  await registry.pushStandIns('0.6.0', { lacks: ['chain', 'disk'], migration: 200 })
  await registry.pushStandIns('0.7.0', { suspects: ['class'] })
  await registry.pushStandIns('latest', { label: '0.2.0' })
  server = await TestServer.start({ kind: 'with-docker', registry: registry.images })
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  owner = await Owner.open()
})
// One server for all: each test leaves it without the role.
afterEach(async () => {
  await server.sh('[ ! -e /opt/compute-horde/validator ] || compute-horde validator uninstall --purge --yes')
  await owner[Symbol.asyncDispose]()
})

const command = (line: string) => server.try(`compute-horde validator ${line}`)
const install = (args: readonly string[] = []) => owner.install('validator', server, { args: [...PULL, ...args] })
const version = () => server.sh(`sed -n 's/^COMPUTE_HORDE_VERSION=//p' ${FOLDER}/.env`)
const sql = (text: string) =>
  server.sh(`docker exec compute-horde-validator_postgres_1 psql -U horde -d horde -Atc "${text}"`)

test('an update that fails twice leaves the version that was healthy before both', async () => {
  await install()
  expect((await command('update 0.2.0')).code).toBe(0)
  expect((await command('update 0.3.0')).code).toBe(1)
  expect((await command('update 0.3.0')).code).toBe(1)
  expect(await version()).toBe('0.2.0')
  expect((await command('rollback --yes')).code).toBe(0)
  expect(await version()).toBe('0.1.0')
})

test('a version that lacks no more than the one before is kept, and one that lacks more goes back', async () => {
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
  expect(worse.seconds).toBeLessThan(UPDATE_BACK_SECONDS)
  expect(await version()).toBe('0.5.0')
})

test('a version that warns first of what it then lacks goes back too', async () => {
  await install()
  const worse = await command('update 0.7.0')
  expect(worse.output).toContain('The validator is not healthy after 75 s: it lacks: class')
  expect(worse.output).toContain('validator 0.1.0 is healthy again, with the database as it is.')
  expect(worse.code).toBe(1)
  expect(worse.seconds).toBeLessThan(UPDATE_BACK_SECONDS)
  expect(await version()).toBe('0.1.0')
})

test('a version that leaves tables which the old one cannot read goes back with the backup, and says so before', async () => {
  await install()
  await sql(MIGRATED_AT_100)
  await sql('create table jobs (id int); insert into jobs values (1)')
  const update = server.try(
    'COMPUTE_HORDE_HEALTHY_SECONDS=30 compute-horde validator update 0.6.0 >/root/update.log 2>&1',
  )
  await server.until('grep -q "Starting validator 0.6.0" /root/update.log')
  await sql('insert into drizzle.__drizzle_migrations values (200); insert into jobs values (2)')
  expect((await update).code).toBe(1)
  const said = await server.sh('cat /root/update.log')
  expect(said).toMatch(
    /cannot read the current database\. Restoring the backup from before the update: .*\.tar\nData written since then is lost\.\nvalidator 0\.1\.0 is healthy again, with the database of the backup\./,
  )
  expect(await sql('select id from jobs')).toBe('1')
  expect(await version()).toBe('0.1.0')
})

test('a rollback that has no backup which the old version can read changes nothing', async () => {
  await install()
  expect((await command('update 0.2.0')).code).toBe(0)
  await sql(MIGRATED_AT_100)
  await sql('insert into drizzle.__drizzle_migrations values (200)')
  await server.sh('rm /opt/compute-horde/validator/backups/*')
  const refused = await command('rollback --yes')
  expect(refused.output).toContain('can read no backup in /opt/compute-horde/validator/backups')
  expect(refused.code).toBe(1)
  expect(await version()).toBe('0.2.0')
  expect((await command('status')).code).toBe(0)
})

test('a rollback with a backup that was killed is undone by the next command, with every row', async () => {
  await install()
  await sql(MIGRATED_AT_100)
  await sql('create table jobs (id int)')
  expect((await command('update 0.2.0')).code).toBe(0)
  await sql('insert into drizzle.__drizzle_migrations values (200); insert into jobs values (1)')
  await server.sh(
    '(setsid compute-horde validator rollback --yes >/root/rollback.log 2>&1 </dev/null & echo $! >/root/rollback.pid)',
  )
  await server.until('grep -q "^Restoring" /root/rollback.log')
  await server.sh('pkill -9 -f "[c]ompute-horde validator rollback"')
  const next = await command('backup')
  expect(next.output).toContain('An update to 0.1.0 was interrupted. Finishing it')
  expect(next.code).toBe(0)
  expect([await version(), await sql('select count(*) from jobs')]).toEqual(['0.2.0', '1'])
  expect((await command('status')).code).toBe(0)
})

test('the backup that a rollback needs is kept, however many follow', async () => {
  await install()
  const updated = await command('update 0.2.0')
  const needed = /Backup: (.*)/.exec(updated.output)?.[1]
  for (let i = 0; i < 11; i++) expect((await command('backup')).code).toBe(0)
  const kept = await server.sh('ls /opt/compute-horde/validator/backups/*.tar')
  expect(kept.split('\n')).toHaveLength(11)
  expect(kept).toContain(needed)
})

test('the monitoring that a setting adds goes on in an update, and goes away with the role', async () => {
  await install()
  // Neither program is in a registry here: the stand-in takes their place.
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

test('an update that was killed while it switched is finished, or undone, by the next command', async () => {
  await install()
  await server.sh(
    '(setsid compute-horde validator update 0.3.0 >/root/update.log 2>&1 </dev/null & echo $! >/root/update.pid)',
  )
  await server.until('grep -q "Starting validator 0.3.0" /root/update.log')
  await server.sh('pkill -9 -f "[c]ompute-horde validator update"')
  const next = await command('update 0.2.0')
  expect(next.output).toContain('An update to 0.3.0 was interrupted. Finishing it')
  expect(next.code).toBe(0)
  expect(await version()).toBe('0.2.0')
})

test('a tag that means another image than before is refused, unless its digest is named', async () => {
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

test('the install script updates too, with a backup, and goes back when the new version is ill', async () => {
  await install()
  const updated = await install(['--version', '0.2.0'])
  expect(updated.output).toContain('validator 0.2.0 is healthy.')
  expect(await server.sh('ls /opt/compute-horde/validator/backups | wc -l')).toBe('1')
  const ill = await install(['--version', '0.3.0'])
  expect(ill.output).toContain('validator 0.2.0 is healthy again')
  expect(ill.code).toBe(1)
  expect(await version()).toBe('0.2.0')
})

test('--auto-update adds a timer that updates to what latest stands for; it is off otherwise', async () => {
  await install()
  expect(await server.sh('systemctl list-timers --all --no-legend | grep -c compute-horde || true')).toBe('0')
  await install(['--auto-update'])
  expect(await server.sh('systemctl is-enabled compute-horde-validator-update.timer')).toBe('enabled')
  await server.sh('systemctl start compute-horde-validator-update.service')
  expect(await version()).toBe('0.2.0')
  expect((await command('uninstall --yes')).code).toBe(0)
  expect(await server.sh('ls /etc/systemd/system | grep -c compute-horde || true')).toBe('0')
})

test('a role that was uninstalled without --purge comes back with its database', async () => {
  await install()
  await sql('create table jobs (id int); insert into jobs values (7)')
  await command('uninstall --yes')
  expect(await server.sh('docker ps -aq')).toBe('')
  await install()
  expect(await sql('select id from jobs')).toBe('7')
})

test('another hotkey is put in place, and the role restarts with it', async () => {
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

test('everything is back by itself after a reboot', async () => {
  await install()
  await server.reboot()
  await server.until(
    'test "$(docker inspect --format "{{.State.Health.Status}}" compute-horde-validator_validator_1)" = healthy',
  )
  expect((await command('status')).code).toBe(0)
})
