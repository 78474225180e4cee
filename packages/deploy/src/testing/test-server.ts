/**
 * A server for tests of the install scripts: a container with Debian, systemd and sshd, in which a second Docker can
 * run containers. It needs root's Docker on this machine, but not --privileged.
 */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ProgramResult, runProgram } from './run-program.ts'

const FOLDER = join(import.meta.dirname, 'server')
const BASE_IMAGE = process.env.TEST_SERVER_BASE ?? 'compute-horde/debian:bookworm'
const REGISTRY_PROGRAM = '/usr/bin/docker-registry'
const DAEMON_SETTINGS = JSON.stringify({ 'registry-mirrors': ['http://127.0.0.1:5000'] })
const BUILD_MS = 600_000
const START_MS = 60_000
const RETRY_MS = 200

/** What systemd and a nested Docker need; root of a real server has all of them. */
const CAPABILITIES = [
  ...['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYS_NICE', 'SYS_TIME', 'MKNOD', 'AUDIT_CONTROL', 'SYSLOG'],
  ...['DAC_READ_SEARCH', 'IPC_LOCK', 'SYS_MODULE', 'SYS_RAWIO', 'LINUX_IMMUTABLE'],
]

export interface TestServerOptions {
  /** fresh: like a new VPS, without Docker. with-docker: with Debian's Docker and Compose. Default: fresh. */
  kind?: 'fresh' | 'with-docker'
  /** The folder with a registry's images, which the server then serves at 127.0.0.1:5000. */
  registryFolder?: string
  /** Further options of `docker run`. */
  runOptions?: readonly string[]
}

export class TestServer implements AsyncDisposable {
  readonly #container: string
  readonly #folder: string
  #port = 0

  private constructor(container: string, folder: string) {
    this.#container = container
    this.#folder = folder
  }

  /** Starts a server and waits until its sshd listens. */
  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const image = await serverImage(options.kind ?? 'fresh')
    await mountAllCgroups()
    const folder = await mkdtemp(join(tmpdir(), 'test-server-'))
    await docker('create', '--name', containerName(folder), ...runOptions(options), image)
    const server = new TestServer(containerName(folder), folder)
    try {
      if (options.registryFolder) await server.#setMirror()
      await docker('start', server.container)
      await server.#authorizeKey()
      if (options.registryFolder) await server.sh('chown -R root: /etc/docker')
      await server.waitUntilReachable()
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The server's SSH port on this machine's loopback. It changes at a reboot. */
  get port(): number {
    return this.#port
  }

  /** The path of the private key that logs in as root, deploy and owner. */
  get identity(): string {
    return join(this.#folder, 'id')
  }

  /** The name of the server's container. */
  get container(): string {
    return this.#container
  }

  /** Runs a shell command as root on the server, without SSH. Returns its trimmed output; throws when it fails. */
  async sh(command: string): Promise<string> {
    return (await docker('exec', this.#container, 'bash', '-c', command)).trim()
  }

  /** Does the same as `sh`, but returns how the command ended and does not throw when it fails. */
  run(command: string): Promise<ProgramResult> {
    return runProgram('docker', ['exec', this.#container, 'bash', '-c', command])
  }

  /** Writes a file on the server, owned by root, with its folder. */
  async writeFile(path: string, content: string, mode = '644'): Promise<void> {
    const local = join(this.#folder, 'file')
    await writeFile(local, content)
    await this.sh(`mkdir -p "$(dirname '${path}')"`)
    await docker('cp', local, `${this.#container}:${path}`)
    await this.sh(`chown root: '${path}' && chmod ${mode} '${path}'`)
  }

  /** Copies an image of this machine into the server's Docker, under another name. Faster than through a registry. */
  async loadImage(image: string, name: string): Promise<void> {
    const loaded = await runProgram('bash', [
      '-c',
      `docker save '${image}' | docker exec -i ${this.#container} docker load`,
    ])
    if (loaded.code !== 0) throw new Error(`${image} could not be loaded: ${loaded.output}`)
    await this.sh(`docker tag '${image}' '${name}'`)
  }

  /** Runs a command as root until it succeeds; throws with its last output after `timeoutMs`. */
  async waitUntil(command: string, timeoutMs = START_MS): Promise<void> {
    const end = Date.now() + timeoutMs
    for (;;) {
      const result = await this.run(command)
      if (result.code === 0) return
      if (Date.now() > end) throw new Error(`${command} still fails after ${timeoutMs} ms: ${result.output}`)
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
    }
  }

  /** Restarts the server with all its processes, and waits until its sshd listens again. */
  async reboot(): Promise<void> {
    await docker('restart', '--time', '60', this.#container)
    await this.waitUntilReachable()
  }

  /** Waits until systemd has started everything and sshd listens. */
  async waitUntilReachable(): Promise<void> {
    await this.waitUntil('systemctl is-system-running | grep -qE "running|degraded"')
    const [address = ''] = (await docker('port', this.#container, '22/tcp')).split('\n')
    this.#port = Number(address.slice(address.lastIndexOf(':') + 1))
    await this.waitUntil("ss -Htln 'sport = :22' | grep -q .")
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await docker('rm', '--force', '--volumes', this.#container)
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Names the registry to the server's Docker as a mirror of Docker Hub. Docker reads that once, when it starts. */
  async #setMirror(): Promise<void> {
    const settings = join(this.#folder, 'docker')
    await mkdir(settings)
    await writeFile(join(settings, 'daemon.json'), DAEMON_SETTINGS)
    await docker('cp', settings, `${this.#container}:/etc/`)
  }

  /** Creates an SSH key and lets it log in as root, deploy and owner. */
  async #authorizeKey(): Promise<void> {
    await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', this.identity])
    await docker('cp', `${this.identity}.pub`, `${this.#container}:/etc/ssh/test_authorized_keys`)
    await this.sh('chown root: /etc/ssh/test_authorized_keys && chmod 644 /etc/ssh/test_authorized_keys')
  }
}

/**
 * Mounts all hierarchies of cgroups version 1 on this machine, as most machines do at boot. Otherwise systemd in the
 * server would create the missing ones, for all processes of the machine. The machine's own containerd would not find
 * their mounts, and would no longer notice containers that run out of memory.
 *
 * Does nothing with cgroups version 2, or without the right to mount.
 */
async function mountAllCgroups(): Promise<void> {
  await runProgram('sh', ['-c', MOUNT_CGROUPS])
}

const MOUNT_CGROUPS = `
cd /sys/fs/cgroup && [ "$(stat -fc %T .)" = tmpfs ] || exit 0
missing() { ! grep -q "^cgroup .*[ ,]$1[ ,]" /proc/mounts; }
mount -o remount,rw . || exit 0
for name in $(awk '$4 == 1 { print $1 }' /proc/cgroups); do
  if missing "$name" && mkdir -p "$name"; then mount -t cgroup -o "$name" cgroup "$name" || rmdir "$name"; fi
done
mount -o remount,ro .
`

function containerName(folder: string): string {
  return `horde-${folder.slice(folder.lastIndexOf('/') + 1)}`
}

/** Returns the options of `docker create` for a server. */
function runOptions({ registryFolder, runOptions = [] }: TestServerOptions): string[] {
  const capabilities = CAPABILITIES.flatMap(name => ['--cap-add', name])
  const security = ['seccomp=unconfined', 'systempaths=unconfined'].flatMap(name => ['--security-opt', name])
  const registryMounts = registryFolder
    ? [
        '--volume',
        `${registryFolder}:/var/lib/test-registry:ro`,
        '--volume',
        `${REGISTRY_PROGRAM}:/usr/local/bin/docker-registry:ro`,
      ]
    : []
  return [
    ...capabilities,
    ...security,
    ...['--device-cgroup-rule', 'a *:* rwm', '--tmpfs', '/run', '--tmpfs', '/run/lock', '--tmpfs', '/tmp:exec'],
    ...[
      '--volume',
      '/sys/fs/cgroup:/sys/fs/cgroup:rw',
      '--volume',
      '/var/lib/docker',
      '--volume',
      '/var/lib/containerd',
    ],
    ...['--publish', '127.0.0.1::22', '--hostname', 'testserver'],
    ...registryMounts,
    ...runOptions,
  ]
}

/** Returns the name of a server's image, and builds the image if its definition has changed. */
async function serverImage(kind: 'fresh' | 'with-docker'): Promise<string> {
  const hash = createHash('sha256')
  for (const name of ['Dockerfile', 'test-registry.service', 'test-registry.yml'])
    hash.update(await readFile(join(FOLDER, name)))
  const image = `horde-test/server-${kind}:${hash.digest('hex').slice(0, 12)}`
  const inspected = await runProgram('docker', ['image', 'inspect', image])
  if (inspected.code === 0) return image
  const build = [
    'build',
    '--quiet',
    '--build-arg',
    `BASE_IMAGE=${BASE_IMAGE}`,
    '--target',
    kind,
    '--tag',
    image,
    FOLDER,
  ]
  const built = await runProgram('docker', build, { timeoutMs: BUILD_MS })
  if (built.code !== 0) throw new Error(`the test server's image could not be built: ${built.output}`)
  return image
}

/** Runs Docker on this machine. Returns its output; throws when it fails. */
async function docker(...args: string[]): Promise<string> {
  const result = await runProgram('docker', args)
  if (result.code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${result.code}: ${result.output}`)
  return result.output
}
