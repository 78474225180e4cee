/** How servers of many kinds are recognised, with fake programs in place of theirs. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ServerParts } from '../../src/testing/server-parts.ts'

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
const CANDIDATE = (names: string) =>
  `case "$1" in policy) case " ${names} " in *" $2 "*) echo "  Candidate: 1.0";; *) echo "  Candidate: (none)";; esac;; pkgnames) printf '%s\\n' ${names};; esac`

let server: ServerParts
beforeEach(async () => {
  server = await ServerParts.open()
  await server.system(UBUNTU)
  await server.fake('docker', 'exit 127')
})
afterEach(() => server[Symbol.asyncDispose]())

const answers = async (command: string, options?: Record<string, string>) =>
  (await server.call(command, options)).output.replaceAll('@compute-horde@ ', '')

describe('Docker', () => {
  test('that answers is used as it is', async () => {
    await server.fake('docker', 'case "$*" in *SecurityOptions*) echo "[]";; esac; exit 0')
    expect(await answers('docker_kind; check_docker')).toBe('engine\n')
  })

  test('without Compose is completed with the package that fits its source', async () => {
    await server.fake('docker', 'case "$1" in compose) exit 1;; esac; exit 0')
    await server.fake('docker-compose', 'exit 127')
    await server.fake('apt-cache', CANDIDATE('docker-compose-v2'))
    expect(await answers('check_docker')).toContain('add Compose to the installed Docker (package docker-compose-v2)')
    await server.fake('dpkg-query', 'case "$*" in *docker-ce*) printf installed;; esac')
    expect(await answers('check_docker')).toContain('(package docker-compose-plugin)')
  })

  test('with a Compose older than 1.27 counts as without', async () => {
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

  test('that does not answer is to be started, and a client alone is refused', async () => {
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

describe('the packages of', () => {
  test.each([
    ['Ubuntu', UBUNTU, 'docker-compose-v2'],
    ['Debian', DEBIAN, 'docker-compose'],
  ])('%s', async (_, system, compose) => {
    await server.system(system)
    await server.fake('apt-cache', CANDIDATE(''))
    expect(await answers('compose_package')).toBe(`${compose}\n`)
  })

  test('another system are not known, which is said', async () => {
    await server.system({ ID: 'fedora', PRETTY_NAME: 'Fedora Linux 42' })
    expect(await answers('check_system')).toContain('problem the server runs Fedora Linux 42, not Debian or Ubuntu')
    await server.system({ ID: 'linuxmint', ID_LIKE: 'ubuntu debian', PRETTY_NAME: 'Linux Mint 22' })
    expect(await answers('check_system')).not.toContain('not Debian or Ubuntu')
  })
})

describe('a processor', () => {
  test.each([
    ['x86_64', 'registry.example/horde', ''],
    ['aarch64', '', ''],
    ['aarch64', 'registry.example/horde', 'the published images are for x86_64 only, and this server is an'],
    ['riscv64', '', 'there are no images for this processor (riscv64)'],
  ])('that is %s, with images of "%s"', async (processor, prefix, problem) => {
    await server.fake('uname', `echo ${processor}`)
    const said = await answers('check_system', { opt_prefix: prefix })
    if (problem === '') expect(said).not.toContain('processor')
    expect(said).toContain(problem)
    expect(said.includes('for x86_64 only')).toBe(problem.includes('for x86_64 only'))
  })
})

test("the disk that is looked at is that of Docker's data, wherever the owner has put it", async () => {
  await server.fake(
    'df',
    'echo "Filesystem"; case $2 in "$FOLDER") echo "- 9 9 99999 1%";; *) echo "- 9 9 100 1%";; esac',
  )
  expect(await answers('check_disk')).toMatch(/^problem only 0 GiB are free on the disk of \/\S*; the miner needs 20/)
  await server.fake('docker', 'case "$*" in *DockerRootDir*) echo "$HOME";; esac')
  expect(await answers('ROOT=$FOLDER; check_disk')).toBe('')
})

describe('an NVIDIA card', () => {
  const CARD = 'echo "01:00.0 0302: 10de:2330 (rev a1)"'

  test('that is not there needs nothing', async () => {
    await server.fake('lspci', 'echo "00:02.0 0300: 8086:3e92"')
    expect(await answers('check_nvidia', { opt_class: 'always_on.cpu.8c.16gb' })).toBe('')
  })

  test('that is not there is missed by a class that needs one', async () => {
    await server.fake('lspci', 'echo "00:02.0 0300: 8086:3e92"')
    const needs = /^warn there is no NVIDIA card, and executors of the class (\S+) need one.*--class/
    for (const executorClass of ['always_on.gpu-24gb', 'always_on.llm.a6000']) {
      const said = await answers('check_nvidia', { opt_class: executorClass })
      expect(said.match(needs)?.[1]).toBe(executorClass)
    }
    const keep = 'mkdir -p "$folder"; echo EXECUTOR_CLASS=always_on.test >"$folder/.env"'
    expect(await answers(`${keep}; check_nvidia`, { opt_class: 'always_on.gpu-24gb' })).toBe('')
  })

  test('without its driver gets the newest for servers of Ubuntu, or that of Debian', async () => {
    await server.fake('lspci', CARD)
    await server.fake('apt-cache', CANDIDATE('nvidia-driver-535-server nvidia-driver-570-server nvidia-driver-580'))
    await server.fake('dpkg', 'echo amd64')
    expect(await answers('check_nvidia')).toContain('install the NVIDIA driver (nvidia-driver-570-server)')
    await server.system(DEBIAN)
    expect(await answers('check_nvidia')).toContain(
      'install the NVIDIA driver (linux-headers-amd64 nvidia-driver nvidia-smi)',
    )
  })

  test('whose driver was installed in this boot needs a reboot, and a broken one is a problem', async () => {
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

  test('whose driver and library differ needs a reboot, which the check says too', async () => {
    await server.fake('lspci', CARD)
    await server.fake('nvidia-smi', 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18')
    expect(await answers('check_nvidia')).toContain('plan ask for a reboot')
    const { code, output } = await server.call('check_driver')
    expect(code).toBe(1)
    expect(output).toContain('reboot this server')
  })

  test('with the toolkit named in an apt list of another name uses that list', async () => {
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
  test("is answered beforehand and keeps the owner's files", async () => {
    await server.fake(
      'apt-get',
      'echo "$DEBIAN_FRONTEND $NEEDRESTART_SUSPEND $*" >"$FOLDER/asked"; if read -r line; then echo "read $line"; fi',
    )
    await server.call('apt_get install curl')
    const { output } = await server.call('cat $FOLDER/asked')
    expect(output).toContain('noninteractive 1 --quiet --yes')
    expect(output).toContain('--force-confold')
  })

  test('is waited for while another program holds its lock, and the owner is told which', async () => {
    await server.fake(
      'apt-get',
      'if [ -e "$FOLDER/second" ]; then exit 0; fi; touch "$FOLDER/second"; echo "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 711 (unattended-upgr)"; exit 100',
    )
    const { code, output } = await server.call('APT_LOCK_RETRY_SECONDS=0; apt_get install curl')
    expect(code).toBe(0)
    expect(output).toContain(
      "Waiting for the system's own update to end (at most 900 s): process 711 (unattended-upgr)",
    )
  })

  test('is given up on after a named time', async () => {
    await server.fake(
      'apt-get',
      'echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"; exit 100',
    )
    const { code, output } = await server.call('apt_get update', { opt_apt_lock_seconds: '0' })
    expect(code).toBe(1)
    expect(output).toContain("failed another program has held apt's lock for 0 s: process 7 (apt-get)")
  })
})

describe('.env', () => {
  const withFile = async (text: string) => {
    await mkdir(join(server.folder, 'root/miner'), { recursive: true })
    await writeFile(join(server.folder, 'root/miner/.env'), text)
  }
  const content = async () => (await server.call('cat "$folder/.env"')).output

  test('is changed in the one line that sets a setting', async () => {
    await withFile('# A.\nA=1\n\n# B.\n#B=2\nAB=3')
    await server.call('set_setting A "x y=z"; set_setting B 5; set_setting C 7')
    expect(await content()).toBe('# A.\nA=x y=z\n\n# B.\nB=5\nAB=3\nC=7\n')
    await server.call('set_setting B 6')
    expect(await content()).toContain('\nB=6\n')
  })

  test('keeps what the owner set, gets new settings with their comment, and old ones are named', async () => {
    await withFile('A=mine\nGONE=1\n')
    await writeFile(join(server.folder, 'example'), '# Settings.\n\n# A says a.\n#A=1\n\n# New says n.\n#NEW=2\n')
    expect(await answers('merge_settings "$FOLDER/example"')).toBe(
      `say New settings in ${server.folder}/root/miner/.env: NEW\nsay ${server.folder}/root/miner/.env sets GONE, which is no longer a setting: remove the line\n`,
    )
    expect(await content()).toBe('A=mine\nGONE=1\n\n# New says n.\n#NEW=2\n')
    expect(await answers('merge_settings "$FOLDER/example"')).not.toContain('New settings')
  })
})

describe('how well a role is', () => {
  /** `saying`: what its health check prints, as JSON; empty when it does not answer. */
  const withRole = (saying: string) =>
    server.fake('docker', `case "$1" in ps) echo c1;; exec) printf '%s\\n' '${saying}';; inspect) echo 0;; esac`)
  const said = (fields: object) =>
    JSON.stringify({
      ...{ version: '0.1.0', live: true, ready: false, complete: true, bad: [], warned: [] },
      ...fields,
      reasons: ['A "bad":["x"] reason.'],
    })
  const looked = async () => (await answers('read_health; echo "$health|$lacks|$warnings"')).trim()

  test.each([
    ['nothing', '', 'unreachable||'],
    ['that its health check failed', said({ live: false }), 'unreachable||'],
    ['that it is ready', said({ ready: true, warned: ['disk'] }), 'ready||disk'],
    ['what it lacks', said({ bad: ['weights version', 'permit'] }), 'unready|weights-version permit|'],
    ['that it has not looked yet', said({ complete: false, bad: ['chain'] }), 'starting|chain|'],
    ['no names, as older versions', '{"live":true,"ready":false,"reasons":["Why."]}', 'unready|unnamed|'],
  ])('is known from /health: %s', async (_, saying, expected) => {
    await withRole(saying)
    expect(await looked()).toBe(expected)
  })

  test('counts as well as before when it lacks nothing that it did not lack, or warn of', async () => {
    await withRole(said({ bad: ['chain', 'disk'] }))
    const isWell = async (tolerated: string) =>
      (
        await answers(`read_health; if is_healthy "${tolerated}"; then echo yes; else echo "no: $not_tolerated"; fi`)
      ).trim()
    expect(await isWell('disk chain permit')).toBe('yes')
    expect(await isWell('chain')).toBe('no: disk')
    expect(await isWell('*')).toBe('yes')
    expect(await isWell('')).toBe('no: chain disk')
    await withRole('')
    expect(await isWell('*')).toBe('no:')
  })

  test('counts as well with a new warning only when that has not become worse for a while', async () => {
    await withRole(said({ ready: true, warned: ['class', 'disk'] }))
    const isWell = async (tolerated: string, seconds: number) =>
      (await answers(`seconds_up() { echo ${seconds}; }; read_health; is_healthy "${tolerated}" && echo yes`)).trim()
    expect(await isWell('disk class', 1)).toBe('yes')
    expect(await isWell('disk', 1)).toBe('')
    expect(await isWell('disk', 30)).toBe('yes')
    expect(await isWell('*', 1)).toBe('yes')
  })

  test('is tolerated to lack what it lacks or warns of now; anything when it does not answer', async () => {
    await withRole(said({ bad: ['permit'], warned: ['chain'] }))
    expect((await answers('tolerated_now')).trim()).toBe('permit chain')
    await withRole('')
    expect((await answers('tolerated_now')).trim()).toBe('*')
  })

  test('is never well without its database', async () => {
    await withRole(said({ bad: ['database', 'registration'] }))
    expect(
      (await answers('seconds_up() { echo 99; }; read_health; is_healthy || echo "no: $not_tolerated"')).trim(),
    ).toBe('no: database')
    await withRole(said({ bad: ['registration'] }))
    expect((await answers('seconds_up() { echo 99; }; read_health; is_healthy && echo yes')).trim()).toBe('yes')
    expect((await answers('seconds_up() { echo 1; }; read_health; is_healthy || echo "not yet"')).trim()).toBe(
      'not yet',
    )
  })
})

describe("the database's image", () => {
  const compose = fileURLToPath(new URL('../../../../docker/compose.miner.yml', import.meta.url))
  const digest = `sha256:${'5'.repeat(64)}`
  /** Installs so far as the image is named; prints what .env says of it. */
  const named = async (env: string, docker: string) => {
    await server.fake('docker', docker)
    const folder = 'mkdir -p "$folder"; cp "$COMPOSE" "$folder/compose.yml"; printf "%s" "$ENV" >"$folder/.env"'
    return (
      await answers(`COMPOSE='${compose}'; ENV='${env}'; ${folder}; pin_database_image; setting POSTGRES_IMAGE`)
    ).trim()
  }
  const pulled = `case "$*" in *RepoDigests*) echo other@sha256:1; echo postgres@${digest};; esac`

  test('is named by its digest, in the line that the example has for it', async () => {
    expect(await named('#POSTGRES_IMAGE=postgres:15', pulled)).toBe(`postgres:15@${digest}`)
  })

  test('is pulled for that where it is not there', async () => {
    const docker = `case "$*" in pull*) echo 1 >"$HOME/pulled";; "image inspect postgres:15") [ -e "$HOME/pulled" ];; *RepoDigests*) echo postgres@${digest};; esac`
    expect(await named('A=1', docker)).toBe(`postgres:15@${digest}`)
  })

  test('stays as it is where it has no digest, or the owner names it', async () => {
    expect(await named('', 'exit 0')).toBe('')
    expect(await named('POSTGRES_IMAGE=mine:1', pulled)).toBe('mine:1')
  })
})

test('a rollback whose backup cannot be written starts the current version again', async () => {
  const current = 'mkdir -p "$folder"; echo COMPUTE_HORDE_VERSION=0.2.0 >"$folder/.env"; touch "$folder/compose.yml"'
  const well =
    'start_database() { :; }; needed_schema() { echo 0; }; can_read() { :; }; start_and_wait() { health=ready; }'
  const { code, output } = await server.call(
    `${current}; ${well}; write_backup() { return 1; }; switch_to 0.1.0 old.tar`,
  )
  expect(output).toContain('miner 0.2.0 is healthy again, with the database as it is.')
  expect(output).toContain('failed the backup could not be written (above); 0.2.0 runs again')
  expect(code).toBe(1)
})
