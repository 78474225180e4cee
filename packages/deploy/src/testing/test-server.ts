/**
 * A server to install on: Debian with systemd and sshd in a container, whose own Docker runs containers inside. Needs
 * root's Docker on this machine, and no --privileged.
 */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ended, run } from './run-program.ts'

const FOLDER = join(import.meta.dirname, 'server')
const BASE_IMAGE = process.env.TEST_SERVER_BASE ?? 'compute-horde/debian:bookworm'
const REGISTRY_PROGRAM = '/usr/bin/docker-registry'
const DAEMON_SETTINGS = JSON.stringify({ 'registry-mirrors': ['http://127.0.0.1:5000'] })
const BUILD_MS = 600_000
const START_MS = 60_000
const TRY_AGAIN_MS = 200

/** What systemd and a nested Docker need; a real server's root has all of them. */
const CAPABILITIES =
  'SYS_ADMIN NET_ADMIN SYS_PTRACE SYS_NICE SYS_TIME MKNOD AUDIT_CONTROL SYSLOG DAC_READ_SEARCH IPC_LOCK SYS_MODULE SYS_RAWIO LINUX_IMMUTABLE'

export interface TestServerOptions {
  /** bare: as a fresh VPS. with-docker: with Docker and Compose of the distribution. */
  kind?: 'bare' | 'with-docker'
  /** The folder of a registry's images, which the server has at 127.0.0.1:5000. */
  registry?: string
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

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const image = await serverImage(options.kind ?? 'bare')
    await mountAllCgroups()
    const folder = await mkdtemp(join(tmpdir(), 'test-server-'))
    await docker('create', '--name', containerName(folder), ...runOptions(options), image)
    const server = new TestServer(containerName(folder), folder)
    try {
      if (options.registry) await server.#nameMirror()
      await docker('start', server.container)
      await server.#takeKey()
      if (options.registry) await server.sh('chown -R root: /etc/docker')
      await server.untilReachable()
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Its SSH port on this machine's loopback. It changes with a reboot. */
  get port(): number {
    return this.#port
  }

  /** The private key that root, deploy and owner take. */
  get identity(): string {
    return join(this.#folder, 'id')
  }

  get container(): string {
    return this.#container
  }

  /** Where its ssh configuration and known hosts for the owner are. */
  get folder(): string {
    return this.#folder
  }

  /** Runs a command of the shell as root inside, past SSH. Gives what it printed; throws when it fails. */
  async sh(command: string): Promise<string> {
    return (await docker('exec', this.#container, 'bash', '-c', command)).trim()
  }

  /** The same, with how it ended. */
  try(command: string): Promise<Ended> {
    return run('docker', ['exec', this.#container, 'bash', '-c', command])
  }

  /** Puts a file on the server. */
  async write(path: string, content: string, mode = '644'): Promise<void> {
    const local = join(this.#folder, 'file')
    await writeFile(local, content)
    await this.sh(`mkdir -p "$(dirname '${path}')"`)
    await docker('cp', local, `${this.#container}:${path}`)
    await this.sh(`chown root: '${path}' && chmod ${mode} '${path}'`)
  }

  /** Gives its Docker an image of this machine, under a name: faster than through a registry. */
  async load(image: string, name: string): Promise<void> {
    const loaded = await run('bash', ['-c', `docker save '${image}' | docker exec -i ${this.#container} docker load`])
    if (loaded.code !== 0) throw new Error(`${image} could not be loaded: ${loaded.output}`)
    await this.sh(`docker tag '${image}' '${name}'`)
  }

  /** Waits until a command succeeds. */
  async until(command: string, withinMs = START_MS): Promise<void> {
    const end = Date.now() + withinMs
    for (;;) {
      const ended = await this.try(command)
      if (ended.code === 0) return
      if (Date.now() > end) throw new Error(`${command} still fails after ${withinMs} ms: ${ended.output}`)
      await new Promise(resolve => setTimeout(resolve, TRY_AGAIN_MS))
    }
  }

  async reboot(): Promise<void> {
    await docker('restart', '--time', '60', this.#container)
    await this.untilReachable()
  }

  /** Waits until it has started and sshd answers. */
  async untilReachable(): Promise<void> {
    await this.until('systemctl is-system-running | grep -qE "running|degraded"')
    const [address = ''] = (await docker('port', this.#container, '22/tcp')).split('\n')
    this.#port = Number(address.slice(address.lastIndexOf(':') + 1))
    await this.until("ss -Htln 'sport = :22' | grep -q .")
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await docker('rm', '--force', '--volumes', this.#container)
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Its Docker takes what the registry has for what Docker Hub has. It reads that once, when the server starts. */
  async #nameMirror(): Promise<void> {
    const settings = join(this.#folder, 'docker')
    await mkdir(settings)
    await writeFile(join(settings, 'daemon.json'), DAEMON_SETTINGS)
    await docker('cp', settings, `${this.#container}:/etc/`)
  }

  async #takeKey(): Promise<void> {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', this.identity])
    await docker('cp', `${this.identity}.pub`, `${this.#container}:/etc/ssh/test_authorized_keys`)
    await this.sh('chown root: /etc/ssh/test_authorized_keys && chmod 644 /etc/ssh/test_authorized_keys')
  }
}

/**
 * systemd in the server mounts every hierarchy of cgroups (version 1) that this machine has not mounted. It then exists for every process
 * of the machine, and a containerd that does not find its mount hears of no container that runs out of memory. So this
 * machine mounts them first, as most machines do anyway. Does nothing with cgroups of version 2, or without the right to mount.
 */
async function mountAllCgroups(): Promise<void> {
  await run('sh', ['-c', MOUNT_CGROUPS])
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

function runOptions({ registry, runOptions = [] }: TestServerOptions): string[] {
  const capabilities = CAPABILITIES.split(' ').flatMap(name => ['--cap-add', name])
  const security = ['seccomp=unconfined', 'systempaths=unconfined'].flatMap(name => ['--security-opt', name])
  const registryMounts = registry
    ? [
        '--volume',
        `${registry}:/var/lib/test-registry:ro`,
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

/** Builds the image where its definition has changed. */
async function serverImage(kind: 'bare' | 'with-docker'): Promise<string> {
  const hash = createHash('sha256')
  for (const name of ['Dockerfile', 'test-registry.service', 'test-registry.yml'])
    hash.update(await readFile(join(FOLDER, name)))
  const image = `horde-test/server-${kind}:${hash.digest('hex').slice(0, 12)}`
  const known = await run('docker', ['image', 'inspect', image])
  if (known.code === 0) return image
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
  const built = await run('docker', build, { withinMs: BUILD_MS })
  if (built.code !== 0) throw new Error(`the test server's image could not be built: ${built.output}`)
  return image
}

async function docker(...args: string[]): Promise<string> {
  const ended = await run('docker', args)
  if (ended.code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${ended.code}: ${ended.output}`)
  return ended.output
}
