/** Servers as they are: each trait of a server or a connection that install scripts of this kind have failed on. */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { OWNER_PASSWORD, Owner } from '../../src/testing/owner.ts'
import { SecretWatch } from '../../src/testing/secret-watch.ts'
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

describe('a fresh server', () => {
  test('whose own update holds the lock of dpkg is waited for', async () => {
    await start('bare')
    // As unattended-upgrades does: a lock on the file by fcntl.
    await server.sh('apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-minimal >/dev/null')
    await server.write(
      '/root/unattended-upgr',
      'import fcntl, os, time\nlocks = [open(p, "w") for p in ("/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock")]\nfor l in locks: fcntl.lockf(l, fcntl.LOCK_EX)\nopen("/run/held", "w")\nwhile not os.path.exists("/run/release"): time.sleep(0.1)\n',
    )
    await server.sh('setsid python3 /root/unattended-upgr >/dev/null 2>&1 </dev/null & disown')
    await server.until('test -e /run/held')
    let released: Promise<unknown> | undefined
    const ended = await owner.install('validator', server, {
      args: PULL,
      onOutput: output => {
        if (output.includes('Waiting for the system')) released ??= server.sh('touch /run/release')
      },
    })
    await released
    expect(ended.output).toContain("Waiting for the system's own update to end (at most 900 s): process")
    expect(ended.output).toContain(DONE)
  })

  test('whose apt asks about a changed conffile and about restarts is asked nothing, and the file stays', async () => {
    await start('bare')
    await server.sh(
      'apt-get -qq update && apt-get -qq install -y --no-install-recommends needrestart debconf >/dev/null',
    )
    // A conffile of a package that comes along, changed by the owner before.
    await server.write('/etc/default/docker', '# mine\n')
    const ended = await owner.install('validator', server, { user: 'deploy', args: PULL })
    expect(ended.output).toContain(DONE)
    expect(await server.sh('cat /etc/default/docker')).toBe('# mine')
  })
})

describe('sudo', () => {
  test('that wants a password gets it from the terminal, once, and it is seen nowhere', async () => {
    await start('with-docker')
    const watch = new SecretWatch()
    const answers = [
      { when: 'Password for sudo', type: 'wrong' },
      { when: 'Password for sudo', type: OWNER_PASSWORD },
      { when: 'do you want to continue? [y/N]', type: 'y' },
    ]
    const ended = await owner.install('validator', server, { user: 'owner', args: PULL, answers })
    const { lines } = await watch.stop()
    expect(ended.output).toContain(DONE)
    expect(ended.output.match(/Password for sudo/g)).toHaveLength(2)
    expect(ended.output).not.toContain(OWNER_PASSWORD)
    expect(lines.filter(line => line.includes(OWNER_PASSWORD))).toEqual([])
    expect(await server.sh(`grep -rlF '${OWNER_PASSWORD}' /var/log /root /home /tmp /opt 2>/dev/null || true`)).toBe('')
  })

  test('that wants a password without a terminal is said at once', async () => {
    await start('bare')
    const ended = await owner.install('validator', server, { user: 'owner', args: PULL })
    expect(ended).toMatchObject({ code: 2, output: expect.stringContaining('there is no terminal to ask you on') })
    expect(await server.sh('ls /opt')).toBe('')
  })

  test('answering no on the terminal changes nothing', async () => {
    await start('with-docker')
    const ended = await owner.install('validator', server, { args: PULL, answers: [{ when: '[y/N]', type: 'n' }] })
    expect(ended.code).toBe(2)
    expect(await server.sh('ls /opt')).toBe('')
  })
})

describe('another Docker', () => {
  test.each([
    ['podman', '#!/bin/sh\ncase $1 in --version) echo "podman version 4.3.1";; esac\n', 'the command docker is podman'],
    [
      'rootless',
      '#!/bin/sh\ncase "$*" in *SecurityOptions*) echo \'["name=rootless"]\';; esac\n',
      'Docker runs rootless',
    ],
  ])('that is %s is refused before anything is changed', async (_, program, problem) => {
    await start('bare')
    await server.write('/usr/local/bin/docker', program, '755')
    const ended = await owner.install('miner', server, { args: PULL })
    expect(ended.output).toContain(problem)
    expect(ended.code).toBe(2)
    expect(await server.sh('ls /opt; ls /usr/bin/dockerd 2>/dev/null || true')).toBe('')
  })

  test('from snap is refused before anything is changed', async () => {
    await start('bare')
    await server.sh(
      'mkdir -p /snap/bin && touch /usr/bin/snap && chmod 755 /usr/bin/snap && ln -s /usr/bin/snap /snap/bin/docker',
    )
    const ended = await owner.install('miner', server, { args: PULL })
    expect(ended.output).toContain('Docker is installed as a snap')
    expect(ended.code).toBe(2)
  })

  test('without Compose gets the package of its source', async () => {
    await start('with-docker')
    await server.sh('apt-get -qq remove -y docker-compose >/dev/null')
    const ended = await owner.install('validator', server, { args: PULL })
    expect(ended.output).toContain('add Compose to the installed Docker (package docker-compose)')
    expect(ended.output).toContain(DONE)
  })
})

test('ufw that is on is named, and only the miner port is open to others', async () => {
  await start('with-docker')
  await server.write('/usr/local/sbin/ufw', '#!/bin/sh\necho "Status: active"\n', '755')
  const ended = await owner.install('miner', server, { args: [...PULL, '--port', '8123'] })
  expect(ended.output).toContain(
    "cannot block ports that Docker publishes: the miner's port 8123 is reachable whatever ufw says; no other",
  )
  expect(ended.output).toContain(DONE)
  const open = await server.sh("ss -Htln | awk '{ print $4 }' | grep -vE '^127\\.|:22$' | sort -u")
  expect(open.split('\n').every(address => address.endsWith(':8123'))).toBe(true)
})

describe('the connection', () => {
  test('by an alias with ProxyJump, and a control path of more than 104 bytes', async () => {
    await start('with-docker')
    await using jump = await TestServer.start({ kind: 'bare' })
    // The jump host reaches the server at its address on Docker's bridge; its own Docker gives it others.
    const address = await server.sh('ip -4 -o addr show eth0 | awk \'{ sub(/\\/.*/, "", $4); print $4 }\'')
    const long = join(owner.folder, 'c'.repeat(110))
    await owner.configureSsh(
      `Host jump\n  HostName 127.0.0.1\n  Port ${jump.port}\n  User root\n  IdentityFile ${jump.identity}\nHost horde\n  HostName ${address}\n  User root\n  IdentityFile ${server.identity}\n  ProxyJump jump\n  ControlMaster auto\n  ControlPath ${long}\n`,
    )
    const ended = await owner.install('validator', server, { destination: 'horde', args: PULL })
    expect(ended.output).toContain(DONE)
  })

  test.each(['fish', 'csh', 'zsh'])('to a user whose login shell is %s', async shell => {
    await start('with-docker')
    await server.sh(
      `apt-get -qq update && apt-get -qq install -y --no-install-recommends ${shell} >/dev/null && usermod --shell $(command -v ${shell}) deploy`,
    )
    const ended = await owner.install('validator', server, { user: 'deploy', args: PULL })
    expect(ended.output).toContain(DONE)
  })

  test('to a user whose profile prints', async () => {
    await start('with-docker')
    for (const file of ['.bashrc', '.profile', '.bash_profile'])
      await server.write(`/home/deploy/${file}`, 'echo "Welcome! problem 12 updates"; echo to stderr >&2\n')
    const ended = await owner.install('validator', server, { user: 'deploy', args: PULL })
    expect(ended.output).toContain(DONE)
  })

  test('to a user without sudo is refused', async () => {
    await start('bare')
    await server.sh(
      'apt-get -qq remove -y --allow-remove-essential sudo >/dev/null 2>&1 || mv /usr/bin/sudo /usr/bin/no-sudo',
    )
    const ended = await owner.install('validator', server, { user: 'deploy', args: PULL })
    expect(ended).toMatchObject({ code: 2, output: expect.stringContaining('is not root, and the server has no sudo') })
  })
})

test('an .env that is there is kept, and what differs from the command line is named', async () => {
  await start('with-docker')
  await owner.install('validator', server, { args: [...PULL, '--netuid', '7'] })
  const path = '/opt/compute-horde/validator/.env'
  await server.sh(`printf 'OLD_SETTING=1\\nLOG_LEVEL=debug\\n' >>${path}; sed -i '/MAX_JOBS_PER_MINER/d' ${path}`)
  const ended = await owner.install('validator', server, { args: [...PULL, '--netuid', '8'] })
  expect(ended.output).toContain('BITTENSOR_NETUID=7 and is kept; --netuid 8 is ignored')
  expect(ended.output).toContain('OLD_SETTING, which is no longer a setting')
  expect(ended.output).toContain('New settings in /opt/compute-horde/validator/.env: MAX_JOBS_PER_MINER')
  expect(await server.sh(`grep -E '^(LOG_LEVEL|BITTENSOR_NETUID)=' ${path} | sort`)).toBe(
    'BITTENSOR_NETUID=7\nLOG_LEVEL=debug',
  )
})

test('a server with an NVIDIA card gets driver and toolkit, asks for a reboot, and goes on after it', async () => {
  await start('with-docker')
  await server.sh(
    'apt-get -qq update && apt-get -qq install -y --no-install-recommends dpkg-dev python3-minimal curl >/dev/null',
  )
  await server.write('/usr/local/bin/lspci', '#!/bin/sh\necho "01:00.0 0302: 10de:2330 (rev a1)"\n', '755')
  await server.write('/root/make-repository', await repository(), '755')
  await server.sh('bash /root/make-repository')
  const env = { COMPUTE_HORDE_NVIDIA_URL: 'file:///srv/nvidia' }
  const first = await owner.install('miner', server, { args: PULL, env })
  expect(first.output).toContain(
    'install the NVIDIA driver (linux-headers-amd64 nvidia-driver nvidia-smi), and ask you to reboot',
  )
  expect(first.output).toContain('the NVIDIA driver works only after a reboot')
  expect(first.code).toBe(3)
  expect(await server.sh('cat /root/nvidia-ctk.log')).toBe('runtime configure --runtime=docker')
  await server.sh('touch /root/rebooted; echo other >/var/lib/compute-horde-driver-boot')
  const second = await owner.install('miner', server, { args: PULL, env })
  expect(second.output).toContain('The NVIDIA driver and the container toolkit are installed')
  expect(second.output).toContain(DONE)
})

/** A loopback apt repository with packages of the names that the script asks for. */
async function repository(): Promise<string> {
  return `set -eu
mkdir -p /srv/nvidia/stable/deb/amd64 /srv/build
make() { # make NAME PROGRAM BODY
  mkdir -p /srv/build/$1/DEBIAN /srv/build/$1/usr/bin
  printf 'Package: %s\\nVersion: 9999\\nArchitecture: amd64\\nMaintainer: test\\nDescription: test\\n' $1 >/srv/build/$1/DEBIAN/control
  if [ -n "$2" ]; then printf '#!/bin/sh\\n%s\\n' "$3" >/srv/build/$1/usr/bin/$2; chmod 755 /srv/build/$1/usr/bin/$2; fi
  dpkg-deb --build /srv/build/$1 /srv/nvidia/stable/deb/amd64 >/dev/null
}
make linux-headers-amd64 '' ''
make nvidia-driver '' ''
make nvidia-smi nvidia-smi '[ -e /root/rebooted ] && echo "GPU 0: NVIDIA H100" || { echo "could not communicate with the NVIDIA driver"; exit 9; }'
make nvidia-container-toolkit nvidia-ctk 'echo "$*" >/root/nvidia-ctk.log; echo "{\\"registry-mirrors\\": [\\"http://127.0.0.1:5000\\"], \\"runtimes\\": {\\"nvidia\\": {\\"path\\": \\"/usr/bin/runc\\"}}}" >/etc/docker/daemon.json'
cd /srv/nvidia/stable/deb/amd64 && dpkg-scanpackages . >Packages 2>/dev/null
# A list of another name that is there already, as an owner may have made it.
echo 'deb [trusted=yes] file:///srv/nvidia/stable/deb/amd64 /' >/etc/apt/sources.list.d/my-nvidia.list
apt-get -qq update
`
}
