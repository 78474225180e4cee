/** Makes each step of an installation fail: the script says what to do, and the same command completes afterwards. */
import { appendFile, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Owner } from '../../src/testing/owner.ts'
import { runProgram } from '../../src/testing/run-program.ts'
import { IMAGE_PREFIX, TestRegistry } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const PULL = ['--image-prefix', IMAGE_PREFIX, '--network', 'ws://127.0.0.1:9944']
const DONE = 'What to do next:'

let registry: TestRegistry
let owner: Owner
let server: TestServer
beforeAll(async () => {
  registry = await TestRegistry.start()
  await registry.pushPostgres()
  await registry.pushStandIns('0.1.0')
  await registry.pushStandIns('0.2.0', { exitsAtStart: true })
})
afterAll(() => registry[Symbol.asyncDispose]())
beforeEach(async () => {
  owner = await Owner.open()
})
afterEach(async () => {
  await server?.[Symbol.asyncDispose]()
  await owner[Symbol.asyncDispose]()
})

const start = async (kind: 'fresh' | 'with-docker') => {
  server = await TestServer.start({ kind, registryFolder: registry.imagesFolder })
}
const install = (env: Record<string, string> = {}) => owner.install('miner', server, { args: PULL, env })
/** Runs the same command again, which must succeed now. */
const expectInstalls = async () => {
  const again = await install()
  expect(again.output).toContain(DONE)
  expect(again.code).toBe(0)
}

test('prints the error of apt when the server has no network', async () => {
  await start('fresh')
  await server.sh('cp /etc/resolv.conf /root/resolv.conf; echo nameserver 127.0.0.99 >/etc/resolv.conf')
  const ended = await install()
  expect(ended.output).toContain("The step 'Docker' failed:")
  expect(ended.output).toMatch(/Temporary failure resolving|could not be fetched|Unable to locate/)
  expect(ended.code).toBe(1)
  await server.sh('cat /root/resolv.conf >/etc/resolv.conf')
  await expectInstalls()
})

test('refuses a small disk before it changes anything, and reports a disk that fills up', async () => {
  await start('with-docker')
  await server.sh(
    'systemctl stop docker docker.socket; mount -t tmpfs -o size=60m tmpfs /var/lib/docker; systemctl start docker',
  )
  const refused = await install()
  expect(refused).toMatchObject({
    code: 2,
    output: expect.stringContaining('only 0 GiB are free on the disk of /var/lib/docker'),
  })
  expect(await server.sh('ls /opt')).toBe('')
  // Leaves less space than the role's image needs. Docker pulls it directly and says why that failed. It pulls the
  // database's image from a mirror, and would say only that the mirror failed.
  await server.sh(
    'free=$(df --output=avail -B1 /var/lib/docker | tail -1); ' +
      'head -c $((free - 1000000)) /dev/zero >/var/lib/docker/filler',
  )
  const filled = await install({ COMPUTE_HORDE_DISK_GIB: '0' })
  expect(filled.output).toContain('no space left on device')
  expect(filled.output).toContain("The step 'Images' failed:")
  expect(filled.code).toBe(1)
  await server.sh('rm /var/lib/docker/filler; mount -o remount,size=3g /var/lib/docker')
  const again = await install({ COMPUTE_HORDE_DISK_GIB: '0' })
  expect(again.output).toContain(DONE)
})

test('refuses a changed host key and says how to remove the old one', async () => {
  await start('with-docker')
  const path = join(owner.folder, 'other')
  const { output } = await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path])
  expect(output).toBe('')
  const [type, key] = (await readFile(`${path}.pub`, 'utf8')).split(' ')
  await appendFile(join(owner.folder, 'known_hosts'), `[127.0.0.1]:${server.port} ${type} ${key}\n`)
  const ended = await install()
  expect(ended).toMatchObject({ code: 2, output: expect.stringContaining('remove the old key: ssh-keygen -R') })
  await rm(join(owner.folder, 'known_hosts'))
  await expectInstalls()
})

test('distinguishes a rejected SSH key from a server that does not answer', async () => {
  await start('fresh')
  await server.sh('rm /etc/ssh/test_authorized_keys')
  expect((await install()).output).toContain("check the user's name, and the key: --identity FILE")
  await server.sh('systemctl stop ssh')
  expect((await install()).output).toMatch(/no connection to root@127\.0\.0\.1: .*(reset|closed|refused)/)
})

test('refuses a used port and names the program that uses it', async () => {
  await start('with-docker')
  await server.sh(
    'systemd-run --unit=taken /usr/sbin/sshd -D -p 8000 && systemd-run --unit=taken2 /usr/sbin/sshd -D -p 8002',
  )
  await server.waitUntil("ss -Htln 'sport = :8002' | grep -q . && ss -Htln 'sport = :8000' | grep -q .")
  const ended = await install()
  expect(ended.output).toContain('port 8000 of the server is taken by sshd')
  expect(ended.output).toContain('port 8002 of the server is taken by sshd')
  expect(ended.code).toBe(2)
  await server.sh('systemctl stop taken taken2')
  await expectInstalls()
})

test('reports a Docker that does not start', async () => {
  await start('with-docker')
  await server.sh(
    'systemctl stop docker docker.socket; cp /etc/docker/daemon.json /root/; echo "{" >/etc/docker/daemon.json',
  )
  const ended = await install()
  expect(ended.output).toContain('start Docker, which is installed and does not answer')
  expect(ended.output).toContain("The step 'Docker' failed: Docker does not start")
  await server.sh('cp /root/daemon.json /etc/docker/')
  await expectInstalls()
})

test('installs a good version after a missing image and an unhealthy one', async () => {
  await start('with-docker')
  const missing = await owner.install('validator', server, { args: [...PULL, '--version', '9.9.9'] })
  expect(missing.output).toContain("The step 'Images' failed: 127.0.0.1:5000/horde/validator:9.9.9 could not be pulled")
  const unhealthy = await owner.install('validator', server, { args: [...PULL, '--version', '0.2.0'] })
  expect(unhealthy.output).toContain('This version ends at its start.')
  expect(unhealthy.output).toContain("The step 'Start' failed: the validator does not become healthy")
  const ended = await owner.install('validator', server, { args: PULL })
  expect(ended.output).toContain(DONE)
})

describe('after an interruption', () => {
  test('completes although the script and its part on the server were killed in every step', async () => {
    await start('fresh')
    for (const step of ['Installing docker.io', '== Files and settings', '== Images', '== Start', '== Check']) {
      let killed: Promise<unknown> | undefined
      const ended = await owner.install('miner', server, {
        args: PULL,
        onOutput: (output, child) => {
          if (!output.includes(step) || killed) return
          killed = server
            .run("pkill -9 -f '[b]ash --norc -s'")
            .then(() => process.kill(-(child.pid as number), 'SIGKILL'))
        },
      })
      await killed
      expect(ended.code, step).not.toBe(0)
    }
    await expectInstalls()
    expect(await server.sh('docker ps --format "{{.Status}}" | grep -vc healthy || true')).toBe('0')
  })

  test('waits for the step that still runs on the server after the connection was lost', async () => {
    await start('fresh')
    let cut = false
    const ended = await owner.install('miner', server, {
      args: PULL,
      onOutput: (output, child) => {
        if (!output.includes('Installing docker.io') || cut) return
        cut = true
        process.kill(-(child.pid as number), 'SIGKILL')
      },
    })
    expect(ended.code).toBe(null)
    const again = await install()
    expect(again.output).toContain('Another command works on the miner of this server. Waiting for it')
    expect(again.output).toContain(DONE)
  })
})
