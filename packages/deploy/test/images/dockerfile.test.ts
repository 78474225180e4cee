import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const CHECKOUT = fileURLToPath(new URL('../../../..', import.meta.url))
const docker = async (...args: string[]) => (await run('docker', args)).stdout.trim()
/** The executor's image, which bin/setup builds. */
const EXECUTOR = 'compute-horde/executor:v0'

/** Returns the workspace packages that a package needs to run, itself included, sorted. */
async function workspaceDependencies(name: string): Promise<string[]> {
  const { dependencies } = JSON.parse(await readFile(`${CHECKOUT}/packages/${name}/package.json`, 'utf8'))
  const direct = Object.keys(dependencies).filter(each => each.startsWith('@horde/'))
  const all = await Promise.all(direct.map(each => workspaceDependencies(each.slice('@horde/'.length))))
  return [...new Set([name, ...all.flat()])].sort()
}

/** Returns the text of each stage of docker/Dockerfile, by name. */
async function stages(): Promise<Map<string, string>> {
  const text = await readFile(`${CHECKOUT}/docker/Dockerfile`, 'utf8')
  const parts = text.split(/^(?=FROM )/m).slice(1)
  return new Map(parts.map(part => [/ AS (\S+)/.exec(part)?.[1] ?? '', part]))
}

describe.each(['executor', 'miner', 'validator'])('the target %s', role => {
  it('copies exactly the sources of the packages that the role needs', async () => {
    const stage = (await stages()).get(role) ?? ''
    const copied = [...stage.matchAll(/^COPY packages\/(\w+) \/app\/packages\/\1$/gm)].map(([, name]) => name)
    expect(copied.sort()).toEqual(await workspaceDependencies(role))
  })

  it('has a health check and labels, and keeps no build argument', async () => {
    const stage = (await stages()).get(role) ?? ''
    expect(stage).toContain('CMD ["node", "docker/image/health-check.js"]')
    expect(stage).toMatch(/image\.version="\$\{VERSION\}"/)
    expect(stage).toMatch(/image\.revision="\$\{REVISION\}"/)
    expect(stage).not.toMatch(/CA_CERTIFICATE|NPM_REGISTRY|pnpm/)
  })
})

describe('settings and wallets that an owner adds to a checkout', () => {
  /** The files that docker/README.md tells the owner to add. */
  const secrets = ['docker/.env', 'docker/miner.env', 'docker/validator.env', 'docker/wallet/me/coldkey']

  it('are ignored by git', async () => {
    const ignored = await run('git', ['check-ignore', '--no-index', ...secrets], { cwd: CHECKOUT }).catch(
      error => error,
    )
    expect(ignored.stdout.trim().split('\n')).toEqual(secrets)
  })

  it('are not sent to a build', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'context-'))
    const image = `test-context-${process.pid}`
    try {
      await copyFile(join(CHECKOUT, '.dockerignore'), join(folder, '.dockerignore'))
      for (const path of [...secrets, 'docker/miner.env.example']) {
        await mkdir(dirname(join(folder, path)), { recursive: true })
        await writeFile(join(folder, path), 'secret')
      }
      await writeFile(join(folder, 'docker/Dockerfile'), 'FROM scratch\nCOPY . /\n')
      await docker('build', '--quiet', '--tag', image, '--file', join(folder, 'docker/Dockerfile'), folder)
      const container = await docker('create', image, 'nothing')
      const listed = await run('sh', ['-c', `docker export ${container} | tar -t`])
      await docker('rm', container)
      expect(listed.stdout).toContain('docker/miner.env.example')
      for (const path of secrets) expect(listed.stdout.split('\n')).not.toContain(path)
    } finally {
      await docker('rmi', '--force', image)
      await rm(folder, { recursive: true })
    }
  })
})

it('docker/build-images.sh keeps the stages that another checkout builds', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stage-'))
  await writeFile(join(folder, 'Dockerfile'), 'FROM scratch\nLABEL compute-horde.image=build\nCOPY Dockerfile /\n')
  const stage = await docker('build', '--quiet', '--no-cache', folder)
  try {
    await run(join(CHECKOUT, 'docker/build-images.sh'), ['debian'])
    expect(await docker('image', 'inspect', '--format', '{{.Id}}', stage)).toBe(stage)
  } finally {
    await docker('rmi', '--force', stage).catch(() => {})
    await rm(folder, { recursive: true })
  }
})

describe('the image of executors', () => {
  it('has its version and its commit as labels', async () => {
    const labels = JSON.parse(await docker('image', 'inspect', '--format', '{{json .Config.Labels}}', EXECUTOR))
    const { version } = JSON.parse(await readFile(`${CHECKOUT}/package.json`, 'utf8'))
    expect(labels).toMatchObject({
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': expect.stringMatching(/^([0-9a-f]{40}|unknown)$/),
    })
  })

  it('accepts the command line of a v0 miner', async () => {
    const settings = ['MINER_ADDRESS=ws://127.0.0.1:1', 'EXECUTOR_TOKEN=token', 'RECONNECT_ATTEMPTS=1']
    const options = ['--rm', '--network', 'none', ...settings.flatMap(each => ['--env', each])]
    const command = ['python', 'manage.py', 'run_executor']
    const result = run('docker', ['run', ...options, EXECUTOR, ...command])
    await expect(result).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('"end":"gave up"') })
  })

  it('contains no build tools, development dependencies or private certificate authority', async () => {
    const look = `
      for tool in pnpm npm gcc make git curl; do command -v $tool; done
      ls /app/node_modules/.pnpm | grep -E '^(vitest|typescript|@biomejs|@electric-sql)'
      ls /usr/local/share/ca-certificates
      find /app -name '*.test.ts' -o -name '*.map'
      find /app/packages -name testing -o -name test
      true`
    expect(await docker('run', '--rm', '--network', 'none', '--entrypoint', 'sh', EXECUTOR, '-c', look)).toBe('')
    expect(await docker('history', '--no-trunc', '--format', '{{.CreatedBy}}', EXECUTOR)).not.toMatch(
      /BEGIN CERTIFICATE|CA_CERTIFICATE|NPM_REGISTRY/,
    )
  })

  it('contains a compile cache, which makes its start fast', async () => {
    const look = 'find /app/node_modules/.cache/compute-horde -type f | wc -l'
    const count = await docker('run', '--rm', '--network', 'none', '--entrypoint', 'sh', EXECUTOR, '-c', look)
    expect(Number(count)).toBeGreaterThan(50)
  })
})
