/** Tests how the install scripts examine a server, with fake programs in place of its own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ServerFunctions } from '../../src/testing/server-functions.ts'

const UBUNTU = {
  ID: 'ubuntu',
  NAME: 'Ubuntu',
  PRETTY_NAME: 'Ubuntu 24.04.2 LTS',
  VERSION_CODENAME: 'noble',
  ID_LIKE: 'debian',
}
const DEBIAN = {
  ID: 'debian',
  NAME: 'Debian GNU/Linux',
  PRETTY_NAME: 'Debian GNU/Linux 12',
  VERSION_CODENAME: 'bookworm',
}
/** An apt-cache that knows only these packages. */
const aptCache = (names: string) =>
  `case "$1" in ` +
  `policy) case " ${names} " in *" $2 "*) echo "  Candidate: 1.0";; *) echo "  Candidate: (none)";; esac;; ` +
  `pkgnames) printf '%s\\n' ${names};; esac`

let server: ServerFunctions
beforeEach(async () => {
  server = await ServerFunctions.open()
  await server.setOsRelease(UBUNTU)
  await server.fake('docker', 'exit 127')
})
afterEach(() => server[Symbol.asyncDispose]())

const answers = (command: string, options?: Record<string, string>) => server.outputOf(command, options)

describe('Docker', () => {
  test('that works is used as it is', async () => {
    await server.fake('docker', 'case "$*" in *SecurityOptions*) echo "[]";; esac; exit 0')
    expect(await answers('docker_kind; check_docker')).toBe('engine\n')
  })

  test('without Compose gets the Compose package that fits its source', async () => {
    await server.fake('docker', 'case "$1" in compose) exit 1;; esac; exit 0')
    await server.fake('docker-compose', 'exit 127')
    await server.fake('apt-cache', aptCache('docker-compose-v2'))
    expect(await answers('check_docker')).toContain('add Compose to the installed Docker (package docker-compose-v2)')
    await server.fake('dpkg-query', 'case "$*" in *docker-ce*) printf installed;; esac')
    expect(await answers('check_docker')).toContain('(package docker-compose-plugin)')
  })

  test('with a Compose older than 1.27 counts as one without Compose', async () => {
    await server.fake('docker', 'case "$1" in compose) exit 1;; esac; exit 0')
    await server.fake('docker-compose', 'echo 1.25.0')
    expect(await answers('has_compose && echo yes || echo no')).toBe('no\n')
    await server.fake('docker-compose', 'echo 1.29.2')
    expect(await answers('has_compose && echo yes || echo no')).toBe('yes\n')
  })

  test('that is podman is refused, with what to do', async () => {
    await server.fake('docker', 'case "$1" in --version) echo "podman version 4.9.3";; esac; exit 0')
    expect(await answers('check_docker')).toMatch(/^problem .*podman.*\ntodo .*apt-get remove podman-docker/)
  })

  test('that is rootless is refused, with what to do', async () => {
    await server.fake(
      'docker',
      'case "$*" in *SecurityOptions*) echo \'["name=seccomp","name=rootless"]\';; esac; exit 0',
    )
    expect(await answers('check_docker')).toMatch(/^problem Docker runs rootless.*\ntodo /)
    await server.fake('docker', 'exit 1')
    await server.fake('pgrep', 'exit 0')
    expect(await answers('docker_kind')).toBe('rootless\n')
  })

  test('from snap is refused, with what to do', async () => {
    await server.fake('readlink', 'echo /usr/bin/snap')
    expect(await answers('check_docker')).toMatch(/^problem Docker is installed as a snap.*\ntodo .*snap remove docker/)
  })

  test('that does not answer will be started, but a client without an engine is refused', async () => {
    await server.fake('docker', 'exit 1')
    expect(
      await answers(
        'type() { case $2 in dockerd) echo /usr/bin/dockerd;; *) builtin type "$@";; esac; }; check_docker',
      ),
    ).toContain('plan start Docker')
    expect(
      await answers('type() { case $2 in dockerd) return 1;; *) builtin type "$@";; esac; }; check_docker'),
    ).toContain('problem there is a Docker client without an engine')
  })
})

describe('the Compose package of', () => {
  test.each([
    ['Ubuntu', UBUNTU, 'docker-compose-v2'],
    ['Debian', DEBIAN, 'docker-compose'],
  ])('%s is known', async (_, system, compose) => {
    await server.setOsRelease(system)
    await server.fake('apt-cache', aptCache(''))
    expect(await answers('compose_package')).toBe(`${compose}\n`)
  })

  test('another system is unknown, so the system is refused', async () => {
    await server.setOsRelease({ ID: 'fedora', PRETTY_NAME: 'Fedora Linux 42' })
    expect(await answers('check_system')).toContain('problem the server runs Fedora Linux 42, not Debian or Ubuntu')
    await server.setOsRelease({ ID: 'linuxmint', ID_LIKE: 'ubuntu debian', PRETTY_NAME: 'Linux Mint 22' })
    expect(await answers('check_system')).not.toContain('not Debian or Ubuntu')
  })
})

describe('a server with the processor', () => {
  test.each([
    ['x86_64', 'registry.example/horde', ''],
    ['aarch64', '', ''],
    ['aarch64', 'registry.example/horde', 'the published images are for x86_64 only, and this server is an'],
    ['riscv64', '', 'there are no images for this processor (riscv64)'],
  ])('%s and the image prefix "%s" is accepted, or refused with a reason', async (processor, prefix, problem) => {
    await server.fake('uname', `echo ${processor}`)
    const output = await answers('check_system', { opt_prefix: prefix })
    if (problem === '') expect(output).not.toContain('processor')
    expect(output).toContain(problem)
    expect(output.includes('for x86_64 only')).toBe(problem.includes('for x86_64 only'))
  })
})

test("checks the disk of Docker's data folder, wherever that is", async () => {
  await server.fake(
    'df',
    'echo "Filesystem"; case $2 in "$FOLDER") echo "- 9 9 99999 1%";; *) echo "- 9 9 100 1%";; esac',
  )
  expect(await answers('check_disk')).toMatch(/^problem only 0 GiB are free on the disk of \/\S*; the miner needs 20/)
  await server.fake('docker', 'case "$*" in *DockerRootDir*) echo "$HOME";; esac')
  expect(await answers('ROOT=$FOLDER; check_disk')).toBe('')
})

describe("a port that the role's containers are to publish", () => {
  /** A listener on the port, as ss prints it. */
  const heldBy = (program: string) =>
    server.fake('ss', `echo 'LISTEN 0 4096 127.0.0.1:8001 0.0.0.0:* users:(("${program}",pid=7,fd=4))'`)
  /** What `docker ps` and `docker inspect` print of the role's container, and of others that publish the port. */
  const docker = ({ running = '', configured = '', others = '' }) =>
    server.fake(
      'docker',
      `case "$*" in *publish=*) echo '${others}';; inspect*) echo '${configured}';; *-aq*) echo c1;; ps*) echo '${running}';; esac`,
    )
  const check = () => answers('project=compute-horde-miner; check_port 8001 --admin-port')
  const BOUND = ':8000->:8001->'

  test('may be held by Docker, also between two starts of a container that ends at its start', async () => {
    await heldBy('docker-proxy')
    await docker({ running: '127.0.0.1:8001->8001/tcp', configured: BOUND })
    expect(await check()).toBe('')
    await docker({ configured: BOUND })
    expect(await check()).toBe('')
  })

  test('is taken when another container or program holds it', async () => {
    await heldBy('docker-proxy')
    await docker({ configured: ':8000->' })
    expect(await check()).toContain('port 8001 of the server is taken by docker-proxy')
    await docker({ configured: BOUND, others: 'other-project' })
    expect(await check()).toContain('port 8001 of the server is taken by docker-proxy')
    await heldBy('sshd')
    await docker({ configured: BOUND })
    expect(await check()).toContain('port 8001 of the server is taken by sshd')
  })
})

describe('an NVIDIA card', () => {
  const CARD = 'echo "01:00.0 0302: 10de:2330 (rev a1)"'

  test('that is missing needs no driver', async () => {
    await server.fake('lspci', 'echo "00:02.0 0300: 8086:3e92"')
    expect(await answers('check_nvidia', { opt_class: 'always_on.cpu.8c.16gb' })).toBe('')
  })

  test('that is missing causes a warning when the class of executors needs one', async () => {
    await server.fake('lspci', 'echo "00:02.0 0300: 8086:3e92"')
    const needs = /^warn there is no NVIDIA card, and executors of the class (\S+) need one.*--class/
    for (const executorClass of ['always_on.gpu-24gb', 'always_on.llm.a6000']) {
      const output = await answers('check_nvidia', { opt_class: executorClass })
      expect(output.match(needs)?.[1]).toBe(executorClass)
    }
    const keep = 'mkdir -p "$folder"; echo EXECUTOR_CLASS=always_on.test >"$folder/.env"'
    expect(await answers(`${keep}; check_nvidia`, { opt_class: 'always_on.gpu-24gb' })).toBe('')
  })

  test('without a driver gets the newest server driver of Ubuntu, or the driver of Debian', async () => {
    await server.fake('lspci', CARD)
    await server.fake('apt-cache', aptCache('nvidia-driver-535-server nvidia-driver-570-server nvidia-driver-580'))
    await server.fake('dpkg', 'echo amd64')
    expect(await answers('check_nvidia')).toContain('install the NVIDIA driver (nvidia-driver-570-server)')
    await server.setOsRelease(DEBIAN)
    expect(await answers('check_nvidia')).toContain(
      'install the NVIDIA driver (linux-headers-amd64 nvidia-driver nvidia-smi)',
    )
  })

  test('needs a reboot after its driver was installed; a driver that is broken later is a problem', async () => {
    await server.fake('lspci', CARD)
    await server.fake(
      'nvidia-smi',
      'echo "NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver."; exit 9',
    )
    await writeFile(join(server.folder, 'boot-id'), 'this boot\n')
    expect(await answers('echo "this boot" >$FOLDER/driver; DRIVER_BOOT_FILE=$FOLDER/driver; driver_state')).toBe(
      'reboot\n',
    )
    expect(await answers('echo "last boot" >$FOLDER/driver; DRIVER_BOOT_FILE=$FOLDER/driver; check_nvidia')).toMatch(
      /problem the NVIDIA driver is installed and does not work: NVIDIA-SMI has failed/,
    )
  })

  test('needs a reboot if its driver and library have different versions', async () => {
    await server.fake('lspci', CARD)
    await server.fake('nvidia-smi', 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18')
    expect(await answers('check_nvidia')).toContain('plan ask for a reboot')
    const { code, output } = await server.call('check_driver')
    expect(code).toBe(1)
    expect(output).toContain('reboot this server')
  })

  test('gets its toolkit from an existing apt list, whatever the name of the list', async () => {
    await server.fake('lspci', CARD)
    await server.fake('nvidia-smi', 'echo "GPU 0: NVIDIA H100"')
    await mkdir(join(server.folder, 'lists'))
    await writeFile(
      join(server.folder, 'lists/nvidia-docker.list'),
      'deb [signed-by=/usr/share/keyrings/other.gpg] https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /\n',
    )
    expect(await answers('APT_LISTS=$FOLDER/lists; check_nvidia')).toContain(
      `from the existing list ${server.folder}/lists/nvidia-docker.list`,
    )
    expect(await answers('APT_LISTS=$FOLDER/none; check_nvidia')).toContain("add NVIDIA's apt list")
  })
})

describe('apt', () => {
  test("asks no question and keeps the owner's files", async () => {
    await server.fake(
      'apt-get',
      'echo "$DEBIAN_FRONTEND $NEEDRESTART_SUSPEND $*" >"$FOLDER/asked"; if read -r line; then echo "read $line"; fi',
    )
    await server.call('apt_get install curl')
    const { output } = await server.call('cat $FOLDER/asked')
    expect(output).toContain('noninteractive 1 --quiet --yes')
    expect(output).toContain('--force-confold')
  })

  test('waits while another program holds its lock, and names that program', async () => {
    const held = 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 711 (unattended-upgr)'
    await server.fake(
      'apt-get',
      `if [ -e "$FOLDER/second" ]; then exit 0; fi; touch "$FOLDER/second"; echo "${held}"; exit 100`,
    )
    const { code, output } = await server.call('APT_LOCK_RETRY_SECONDS=0; apt_get install curl')
    expect(code).toBe(0)
    expect(output).toContain(
      "Waiting for the system's own update to end (at most 900 s): process 711 (unattended-upgr)",
    )
  })

  test('fails when the lock is held for too long', async () => {
    await server.fake(
      'apt-get',
      'echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"; exit 100',
    )
    const { code, output } = await server.call('apt_get update', { opt_apt_lock_seconds: '0' })
    expect(code).toBe(1)
    expect(output).toContain("failed another program has held apt's lock for 0 s: process 7 (apt-get)")
  })
})
