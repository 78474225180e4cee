/** Each step that can fail, what the script says of it, and that the same command run again completes. */
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Owner } from '../../src/testing/owner.ts'
import { run } from '../../src/testing/run-program.ts'
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
  await registry.pushStandIns('0.2.0', { healthy: 'exits' })
})
afterAll(() => registry[Symbol.asyncDispose]())
beforeEach(async () => {
  owner = await Owner.open()
})
afterEach(async () => {
  await server?.[Symbol.asyncDispose]()
  await owner[Symbol.asyncDispose]()
})

const start = async (kind: 'bare' | 'with-docker') => {
  server = await TestServer.start({ kind, registry: registry.images })
}
const install = (env: Record<string, string> = {}) => owner.install('miner', server, { args: PULL, env })
const completes = async () => {
  const again = await install()
  expect(again.output).toContain(DONE)
  expect(again.code).toBe(0)
}

test('no network: the step Docker fails with what apt said', async () => {
  await start('bare')
  await server.sh('cp /etc/resolv.conf /root/resolv.conf; echo nameserver 127.0.0.99 >/etc/resolv.conf')
  const ended = await install()
  expect(ended.output).toContain("The step 'Docker' failed:")
  expect(ended.output).toMatch(/Temporary failure resolving|could not be fetched|Unable to locate/)
  expect(ended.code).toBe(1)
  await server.sh('cat /root/resolv.conf >/etc/resolv.conf')
  await completes()
})

test('too little disk is found before anything is changed, and a disk that fills up is named', async () => {
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
  // Less than the role's image takes. That of the database comes by a mirror, of which Docker only says that it failed.
  await server.sh(
    'free=$(df --output=avail -B1 /var/lib/docker | tail -1); head -c $((free - 1000000)) /dev/zero >/var/lib/docker/filler',
  )
  const filled = await install({ COMPUTE_HORDE_DISK_GIB: '0' })
  expect(filled.output).toContain('no space left on device')
  expect(filled.output).toContain("The step 'Images' failed:")
  expect(filled.code).toBe(1)
  await server.sh('rm /var/lib/docker/filler; mount -o remount,size=3g /var/lib/docker')
  const again = await install({ COMPUTE_HORDE_DISK_GIB: '0' })
  expect(again.output).toContain(DONE)
})

test('another host key than the known one is refused by name, and nothing is sent', async () => {
  await start('with-docker')
  const { output } = await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(owner.folder, 'other')])
  expect(output).toBe('')
  const key = (await run('cat', [join(owner.folder, 'other.pub')])).output.trim().split(' ').slice(0, 2).join(' ')
  await appendFile(join(owner.folder, 'known_hosts'), `[127.0.0.1]:${server.port} ${key}\n`)
  const ended = await install()
  expect(ended).toMatchObject({ code: 2, output: expect.stringContaining('remove the old key: ssh-keygen -R') })
  await run('rm', [join(owner.folder, 'known_hosts')])
  await completes()
})

test('a key that the server does not take, and a server that does not answer, are told apart', async () => {
  await start('bare')
  await server.sh('rm /etc/ssh/test_authorized_keys')
  expect((await install()).output).toContain("check the user's name, and the key: --identity FILE")
  await server.sh('systemctl stop ssh')
  expect((await install()).output).toMatch(/no connection to root@127\.0\.0\.1: .*(reset|closed|refused)/)
})

test('a port that is taken is named with its holder before anything is changed', async () => {
  await start('with-docker')
  await server.sh(
    'systemd-run --unit=taken /usr/sbin/sshd -D -p 8000 && systemd-run --unit=taken2 /usr/sbin/sshd -D -p 8002',
  )
  await server.until("ss -Htln 'sport = :8002' | grep -q . && ss -Htln 'sport = :8000' | grep -q .")
  const ended = await install()
  expect(ended.output).toContain('port 8000 of the server is taken by sshd')
  expect(ended.output).toContain('port 8002 of the server is taken by sshd')
  expect(ended.code).toBe(2)
  await server.sh('systemctl stop taken taken2')
  await completes()
})

test('a Docker that does not start is named with the end of its log', async () => {
  await start('with-docker')
  await server.sh(
    'systemctl stop docker docker.socket; cp /etc/docker/daemon.json /root/; echo "{" >/etc/docker/daemon.json',
  )
  const ended = await install()
  expect(ended.output).toContain('start Docker, which is installed and does not answer')
  expect(ended.output).toContain("The step 'Docker' failed: Docker does not start")
  await server.sh('cp /root/daemon.json /etc/docker/')
  await completes()
})

test('an image that is not there, and one that does not get healthy, leave the server so that another one completes', async () => {
  await start('with-docker')
  const missing = await owner.install('validator', server, { args: [...PULL, '--version', '9.9.9'] })
  expect(missing.output).toContain("The step 'Images' failed: 127.0.0.1:5000/horde/validator:9.9.9 could not be pulled")
  const ill = await owner.install('validator', server, { args: [...PULL, '--version', '0.2.0'] })
  expect(ill.output).toContain('This version ends at its start.')
  expect(ill.output).toContain("The step 'Start' failed: the validator does not become healthy")
  const ended = await owner.install('validator', server, { args: PULL })
  expect(ended.output).toContain(DONE)
})

describe('killed in the middle', () => {
  test('of every step, here and on the server, the same command completes', async () => {
    await start('bare')
    for (const step of ['Installing docker.io', '== Files and settings', '== Images', '== Start', '== Check']) {
      let killed: Promise<unknown> | undefined
      const ended = await owner.install('miner', server, {
        args: PULL,
        onOutput: (output, child) => {
          if (!output.includes(step) || killed) return
          killed = server
            .try("pkill -9 -f '[b]ash --norc -s'")
            .then(() => process.kill(-(child.pid as number), 'SIGKILL'))
        },
      })
      await killed
      expect(ended.code, step).not.toBe(0)
    }
    await completes()
    expect(await server.sh('docker ps --format "{{.Status}}" | grep -vc healthy || true')).toBe('0')
  })

  test('when only the connection is lost, the step ends by itself and the next run waits for it', async () => {
    await start('bare')
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
