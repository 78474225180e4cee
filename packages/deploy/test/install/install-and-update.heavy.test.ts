/** One server, from Docker alone to a role that was installed, updated, rolled back, backed up, restored and removed. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COLDKEY_SECRET, HOTKEY_ADDRESS, HOTKEY_SEED, Owner } from '../../src/testing/owner.ts'
import type { Ended } from '../../src/testing/run-program.ts'
import { SecretWatch } from '../../src/testing/secret-watch.ts'
import { buildPostgres, IMAGE_PREFIX, TestRegistry } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const FOLDER = '/opt/compute-horde/validator'
const PULL = ['--image-prefix', IMAGE_PREFIX, '--network', 'ws://127.0.0.1:9944', '--netuid', '7']
/** What a second run may take, and a third of it on an idle machine, in seconds. */
const SECOND_RUN_SECONDS = 30
const UPDATE_BACK_SECONDS = 120
const IMAGES_MS = 600_000

let registry: TestRegistry
let server: TestServer
let owner: Owner
let installed: Ended
let planned: Ended
let changedByPlan: string
let seen: Awaited<ReturnType<SecretWatch['stop']>>
/** Files with secrets that other users could read while the installation ran, by step. */
let readable: Promise<string>[]

beforeAll(async () => {
  registry = await TestRegistry.start()
  owner = await Owner.open()
  server = await TestServer.start({ kind: 'with-docker', registry: registry.images })
  const images = Promise.all([
    buildPostgres().then(image => server.load(image, 'postgres:15')),
    registry.pushStandIns('0.1.0'),
    registry.pushStandIns('0.2.0', { migration: 300 }),
    registry.pushStandIns('0.3.0', { healthy: 'exits', migration: 300 }),
  ])
  const everything =
    'find / -xdev -newer /etc/test-registry.yml -type f -not -path "/var/lib/docker/*" -not -path "/var/log/*" | sort'
  const before = await server.sh(everything)
  planned = await owner.install('validator', server, { user: 'deploy', args: [...PULL, '--dry-run'] })
  changedByPlan = (await server.sh(everything)).replace(before, '')
  await images
  const watch = new SecretWatch()
  readable = []
  const onOutput = (output: string) => {
    const steps = output.split('\n== ').length - 1
    while (readable.length < steps) readable.push(secretsForOthers())
  }
  installed = await owner.install('validator', server, { user: 'deploy', piped: true, args: PULL, onOutput })
  readable.push(secretsForOthers())
  seen = await watch.stop()
}, IMAGES_MS)
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await owner?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

/** The files with a secret that a user who is not root can read now. The words of the search are not themselves the secret. */
function secretsForOthers(): Promise<string> {
  const pattern = `${HOTKEY_SEED.slice(0, -1)}[${HOTKEY_SEED.slice(-1)}]|POSTGRES_PASSWORD=[0-9a-f]{48}`
  const search = `grep -rlE '${pattern}' /opt /etc /home /root /tmp /var /run /usr/local /dev/shm`
  return server.sh(`setpriv --reuid=owner --regid=owner --clear-groups ${search} 2>/dev/null || true`)
}

const command = (line: string) => server.try(`compute-horde validator ${line}`)
const sql = (text: string) =>
  server.sh(`docker exec compute-horde-validator_postgres_1 psql -U horde -d horde -Atc "${text}"`)
const containers = () => server.sh('docker inspect --format "{{.Id}} {{.State.StartedAt}}" $(docker ps -q) | sort')
const version = () => server.sh(`sed -n 's/^COMPUTE_HORDE_VERSION=//p' ${FOLDER}/.env`)

test('prints every step and every file in a dry run, and changes nothing', () => {
  expect(planned.output).toContain(`- pull ${IMAGE_PREFIX}/validator:0.1.0`)
  expect(planned.output).toContain('  | BITTENSOR_NETUID=7\n')
  expect(planned.output).toContain('  | services:\n')
  expect(planned.output).toContain('Dry run: nothing was changed.')
  expect(changedByPlan).toBe('')
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
  // Nothing of the coldkey is anywhere.
  expect(await server.sh(`grep -rlF '${COLDKEY_SECRET}' /opt /etc /home /root /tmp /var/log 2>/dev/null || true`)).toBe(
    '',
  )
})

test('leaves nothing secret in output, command lines, histories, or files that others can read', async () => {
  const password = await server.sh(`sed -n 's/^POSTGRES_PASSWORD=//p' ${FOLDER}/.env`)
  expect(password).toMatch(/^[0-9a-f]{48}$/)
  const secrets = [password, HOTKEY_SEED]
  for (const secret of secrets) {
    expect(installed.output).not.toContain(secret)
    expect(seen.lines.filter(line => line.includes(secret))).toEqual([])
    expect(seen.files.filter(text => text.includes(secret))).toEqual([])
    expect(await server.sh(`grep -rlF '${secret}' /var/log /root /home /tmp 2>/dev/null || true`)).toBe('')
  }
  // One look at the beginning of each step, and one at the end.
  expect(await Promise.all(readable)).toEqual(['', '', '', '', '', ''])
  // Both watches have seen the installation at work.
  expect(seen.lines.some(line => line.includes('compute-horde-validator'))).toBe(true)
  expect(seen.files.some(text => text.includes('say') || text.includes('end 0'))).toBe(true)
})

test('opens no port but on loopback', async () => {
  const listeners = await server.sh("ss -Htln | awk '{ print $4 }' | grep -vE ':(22|5000)$' | sort -u")
  for (const address of listeners.split('\n')) expect(address).toMatch(/^127\.0\.0\.1:/)
  expect(listeners).toContain('127.0.0.1:8001')
})

test('run again takes less than half a minute and restarts nothing', async () => {
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

test('updates with a backup, and a rollback keeps rows that the old version can read', async () => {
  await sql(
    'create schema drizzle; create table drizzle.__drizzle_migrations (created_at bigint); insert into drizzle.__drizzle_migrations values (100); create table jobs (id int); insert into jobs select generate_series(1, 1000)',
  )
  const updated = await command('update 0.2.0')
  expect(updated.output).toMatch(
    /Backup: .*\nStarting validator 0\.2\.0 in place of 0\.1\.0\nvalidator 0\.2\.0 is healthy\./,
  )
  expect(await version()).toBe('0.2.0')
  expect((await command('update 0.2.0')).output).toBe(
    `Pulling ${IMAGE_PREFIX}/validator:0.2.0\nvalidator 0.2.0 already runs: it is ready.\n`,
  )
  // As 0.2.0 migrates: it says that the release before can read the result.
  await sql(
    'insert into drizzle.__drizzle_migrations values (200); create table drizzle.oldest_reader (migrated_until bigint, known_until bigint); insert into drizzle.oldest_reader values (200, 100); insert into jobs values (1001)',
  )
  const back = await command('rollback --yes')
  expect(back.output).not.toContain('Restoring')
  expect(back.code).toBe(0)
  expect(await version()).toBe('0.1.0')
  expect(await sql('select count(*) from jobs')).toBe('1001')
})

test('goes back by itself when an update does not get healthy', async () => {
  const updated = await command('update 0.3.0')
  expect(updated.output).toContain('This version ends at its start.')
  expect(updated.output).toContain('validator 0.1.0 is healthy again')
  expect(updated.code).toBe(1)
  expect(updated.seconds).toBeLessThan(UPDATE_BACK_SECONDS)
  expect(await version()).toBe('0.1.0')
  expect((await command('status')).code).toBe(0)
})

test('a rollback to a version that cannot read the tables asks, and restores the backup of before the update', async () => {
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
  // Nothing is lost for good: the newer version has the rows again.
  const ofNow = /Data that 0\.2\.0 wrote since then is in (.*)\. To restore it/.exec(back.output)?.[1]
  expect((await command(`restore ${ofNow} --yes`)).output).toContain('is newer than validator 0.1.0 can read')
  expect((await command('update 0.2.0')).code).toBe(0)
  const restored = await command(`restore ${ofNow} --yes`)
  expect(restored.output).toContain(`Restored ${ofNow}`)
  expect(restored.code).toBe(0)
  expect(await sql('select count(*), sum(id) from jobs')).toBe('1002|502503')
  expect(await server.sh(`stat -c %a ${ofNow}`)).toBe('600')
})

test('asks on a terminal before it removes anything, and then removes everything', async () => {
  expect((await command('uninstall --purge')).output).toContain('There is no terminal to ask on')
  expect((await command('uninstall --purge --yes')).code).toBe(0)
  expect(
    await server.sh(
      'docker ps -aq; docker volume ls -q; ls /opt/compute-horde /usr/local/bin/compute-horde 2>/dev/null || true',
    ),
  ).toBe('')
})
