/** Installs on servers and over connections with the peculiarities that have broken install scripts of this kind. */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LeakWatch } from '../../src/testing/leak-watch.ts'
import { OWNER_PASSWORD, Owner } from '../../src/testing/owner.ts'
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

const start = async (kind: 'fresh' | 'with-docker') => {
  server = await TestServer.start({ kind, registryFolder: registry.imagesFolder })
}

describe('a fresh server', () => {
  test('that holds the lock of dpkg for its own update makes the script wait', async () => {
    await start('fresh')
    // Locks the files with fcntl, like unattended-upgrades.
    await server.sh('apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-minimal >/dev/null')
    const program = [
      'import fcntl, os, time',
      'locks = [open(p, "w") for p in ("/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock")]',
      'for l in locks: fcntl.lockf(l, fcntl.LOCK_EX)',
      'open("/run/held", "w")',
      'while not os.path.exists("/run/release"): time.sleep(0.1)',
    ]
    await server.writeFile('/root/unattended-upgr', `${program.join('\n')}\n`)
    await server.sh('setsid python3 /root/unattended-upgr >/dev/null 2>&1 </dev/null & disown')
    await server.waitUntil('test -e /run/held')
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

  test('keeps a changed configuration file, and its apt asks no question', async () => {
    await start('fresh')
    await server.sh(
      'apt-get -qq update && apt-get -qq install -y --no-install-recommends needrestart debconf >/dev/null',
    )
    // A configuration file of a package that the script installs, which the owner has changed before.
    await server.writeFile('/etc/default/docker', '# mine\n')
    const ended = await owner.install('validator', server, { user: 'deploy', args: PULL })
    expect(ended.output).toContain(DONE)
    expect(await server.sh('cat /etc/default/docker')).toBe('# mine')
  })
})

describe('sudo', () => {
  test('gets its password from the terminal, and no other user can see it', async () => {
    await start('with-docker')
    const leaks = new LeakWatch()
    const answers = [
      { when: 'Password for sudo', type: 'wrong' },
      { when: 'Password for sudo', type: OWNER_PASSWORD },
      { when: 'do you want to continue? [y/N]', type: 'y' },
    ]
    const ended = await owner.install('validator', server, { user: 'owner', args: PULL, answers })
    const { commandLines } = await leaks.stop()
    expect(ended.output).toContain(DONE)
    expect(ended.output.match(/Password for sudo/g)).toHaveLength(2)
    expect(ended.output).not.toContain(OWNER_PASSWORD)
    expect(commandLines.filter(line => line.includes(OWNER_PASSWORD))).toEqual([])
    expect(await server.sh(`grep -rlF '${OWNER_PASSWORD}' /var/log /root /home /tmp /opt 2>/dev/null || true`)).toBe('')
  })

  test('that needs a password is refused when there is no terminal', async () => {
    await start('fresh')
    const ended = await owner.install('validator', server, { user: 'owner', args: PULL })
    expect(ended).toMatchObject({ code: 2, output: expect.stringContaining('there is no terminal to ask you on') })
    expect(await server.sh('ls /opt')).toBe('')
  })

  test('runs nothing when the owner answers no', async () => {
    await start('with-docker')
    const ended = await owner.install('validator', server, { args: PULL, answers: [{ when: '[y/N]', type: 'n' }] })
    expect(ended.code).toBe(2)
    expect(await server.sh('ls /opt')).toBe('')
  })
})

describe('a Docker', () => {
  test.each([
    ['podman', '#!/bin/sh\ncase $1 in --version) echo "podman version 4.3.1";; esac\n', 'the command docker is podman'],
    [
      'rootless',
      '#!/bin/sh\ncase "$*" in *SecurityOptions*) echo \'["name=rootless"]\';; esac\n',
      'Docker runs rootless',
    ],
  ])('that is %s is refused before anything is changed', async (_, program, problem) => {
    await start('fresh')
    await server.writeFile('/usr/local/bin/docker', program, '755')
    const ended = await owner.install('miner', server, { args: PULL })
    expect(ended.output).toContain(problem)
    expect(ended.code).toBe(2)
    expect(await server.sh('ls /opt; ls /usr/bin/dockerd 2>/dev/null || true')).toBe('')
  })

  test('from snap is refused before anything is changed', async () => {
    await start('fresh')
    await server.sh(
      'mkdir -p /snap/bin && touch /usr/bin/snap && chmod 755 /usr/bin/snap && ln -s /usr/bin/snap /snap/bin/docker',
    )
    const ended = await owner.install('miner', server, { args: PULL })
    expect(ended.output).toContain('Docker is installed as a snap')
    expect(ended.code).toBe(2)
  })

  test('without Compose gets the Compose package of the same source', async () => {
    await start('with-docker')
    await server.sh('apt-get -qq remove -y docker-compose >/dev/null')
    const ended = await owner.install('validator', server, { args: PULL })
    expect(ended.output).toContain('add Compose to the installed Docker (package docker-compose)')
    expect(ended.output).toContain(DONE)
  })
})

test('warns about an active ufw, and opens only the port of the miner', async () => {
  await start('with-docker')
  await server.writeFile('/usr/local/sbin/ufw', '#!/bin/sh\necho "Status: active"\n', '755')
  const ended = await owner.install('miner', server, { args: [...PULL, '--port', '8123'] })
  expect(ended.output).toContain(
    "cannot block ports that Docker publishes: the miner's port 8123 is reachable whatever ufw says; no other",
  )
  expect(ended.output).toContain(DONE)
  const open = await server.sh("ss -Htln | awk '{ print $4 }' | grep -vE '^127\\.|:22$' | sort -u")
  expect(open.split('\n').every(address => address.endsWith(':8123'))).toBe(true)
})

describe('installs over a connection', () => {
  test('with an alias, ProxyJump and a control path of more than 104 bytes', async () => {
    await start('with-docker')
    await using jump = await TestServer.start({ kind: 'fresh' })
    // The address on Docker's bridge, by which the jump host reaches the server. The server's own Docker adds others.
    const address = await server.sh('ip -4 -o addr show eth0 | awk \'{ sub(/\\/.*/, "", $4); print $4 }\'')
    const longPath = join(owner.folder, 'c'.repeat(110))
    const configuration = [
      ...['Host jump', 'HostName 127.0.0.1', `Port ${jump.port}`, 'User root', `IdentityFile ${jump.identity}`],
      ...['Host horde', `HostName ${address}`, 'User root', `IdentityFile ${server.identity}`, 'ProxyJump jump'],
      ...['ControlMaster auto', `ControlPath ${longPath}`],
    ]
    await owner.configureSsh(configuration.join('\n'))
    const ended = await owner.install('validator', server, { destination: 'horde', args: PULL })
    expect(ended.output).toContain(DONE)
  })

  test.each(['fish', 'csh', 'zsh'])('to a user whose login shell is %s', async shell => {
    await start('with-docker')
    await server.sh(
      `apt-get -qq update && apt-get -qq install -y --no-install-recommends ${shell} >/dev/null && ` +
        `usermod --shell $(command -v ${shell}) deploy`,
    )
    const ended = await owner.install('validator', server, { user: 'deploy', args: PULL })
    expect(ended.output).toContain(DONE)
  })

  test('to a user whose profile prints text', async () => {
    await start('with-docker')
    for (const file of ['.bashrc', '.profile', '.bash_profile'])
      await server.writeFile(`/home/deploy/${file}`, 'echo "Welcome! problem 12 updates"; echo to stderr >&2\n')
    const ended = await owner.install('validator', server, { user: 'deploy', args: PULL })
    expect(ended.output).toContain(DONE)
  })

  test('but not to a user without sudo', async () => {
    await start('fresh')
    await server.sh(
      'apt-get -qq remove -y --allow-remove-essential sudo >/dev/null 2>&1 || mv /usr/bin/sudo /usr/bin/no-sudo',
    )
    const ended = await owner.install('validator', server, { user: 'deploy', args: PULL })
    expect(ended).toMatchObject({ code: 2, output: expect.stringContaining('is not root, and the server has no sudo') })
  })
})

test('keeps an existing .env and names options that differ from it', async () => {
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

test('installs NVIDIA driver and toolkit, asks for a reboot, and continues after it', async () => {
  await start('with-docker')
  await server.sh(
    'apt-get -qq update && apt-get -qq install -y --no-install-recommends dpkg-dev python3-minimal curl >/dev/null',
  )
  await server.writeFile('/usr/local/bin/lspci', '#!/bin/sh\necho "01:00.0 0302: 10de:2330 (rev a1)"\n', '755')
  await server.writeFile('/root/make-repository', nvidiaRepository(), '755')
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

/** Returns a script that makes a local apt repository. Its packages have the names that the install script asks for. */
function nvidiaRepository(): string {
  return `set -eu
mkdir -p /srv/nvidia/stable/deb/amd64 /srv/build
make() { # make NAME PROGRAM BODY
  mkdir -p /srv/build/$1/DEBIAN /srv/build/$1/usr/bin
  printf 'Package: %s\\nVersion: 9999\\nArchitecture: amd64\\n' $1 >/srv/build/$1/DEBIAN/control
  printf 'Maintainer: test\\nDescription: test\\n' >>/srv/build/$1/DEBIAN/control
  if [ -n "$2" ]; then printf '#!/bin/sh\\n%s\\n' "$3" >/srv/build/$1/usr/bin/$2; chmod 755 /srv/build/$1/usr/bin/$2; fi
  dpkg-deb --build /srv/build/$1 /srv/nvidia/stable/deb/amd64 >/dev/null
}
make linux-headers-amd64 '' ''
make nvidia-driver '' ''
make nvidia-smi nvidia-smi '[ -e /root/rebooted ] && echo "GPU 0: NVIDIA H100" && exit
echo "could not communicate with the NVIDIA driver"; exit 9'
make nvidia-container-toolkit nvidia-ctk 'echo "$*" >/root/nvidia-ctk.log
echo "{\\"registry-mirrors\\": [\\"http://127.0.0.1:5000\\"]," >/etc/docker/daemon.json
echo "\\"runtimes\\": {\\"nvidia\\": {\\"path\\": \\"/usr/bin/runc\\"}}}" >>/etc/docker/daemon.json'
cd /srv/nvidia/stable/deb/amd64 && dpkg-scanpackages . >Packages 2>/dev/null
# An apt list that the owner has made already, under another name.
echo 'deb [trusted=yes] file:///srv/nvidia/stable/deb/amd64 /' >/etc/apt/sources.list.d/my-nvidia.list
apt-get -qq update
`
}
