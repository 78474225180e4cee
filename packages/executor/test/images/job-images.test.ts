/** The job images themselves, started as an executor starts them: no network, read-only root, no capabilities. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)

const SANDBOX = [
  ...['--rm', '--network', 'none', '--read-only', '--tmpfs', '/tmp:rw,noexec,nosuid,size=64m'],
  ...['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--pids-limit', '64', '--memory', '2g'],
]

/** Starts an image in the sandbox and returns its output, as bytes. Rejects when it exits with another code than 0. */
async function runImage(image: string, options: { flags?: string[]; command?: string[] }): Promise<Buffer> {
  const { flags = [], command = [] } = options
  const args = ['run', ...SANDBOX, ...flags, image, ...command]
  const { stdout } = await run('docker', args, { encoding: 'buffer' })
  return stdout
}

/** The command line of a v0 validator for one hash. */
function hashcatCommand(mode: string, hash: string, saltHex: string, characters: number): string[] {
  return [
    ...['--runtime', '600', '--restore-disable', '--attack-mode', '3', '--workload-profile', '3'],
    ...['--optimized-kernel-enable', '--hash-type', mode, '--hex-salt', '-1', '?l?d?u', '--outfile-format', '2'],
    ...['--quiet', `${hash}:${saltHex}`, '?1'.repeat(characters)],
  ]
}

function saltedHash(algorithm: string, password: string, saltHex: string): string {
  return createHash(algorithm).update(password).update(Buffer.from(saltHex, 'hex')).digest('hex')
}

describe('hashcat', () => {
  const saltHex = '00ff10203a0d0a7f'

  it.each([
    ['1410', 'sha256', 'Zb9'],
    ['10810', 'sha384', 'aQ0'],
    ['1710', 'sha512', '7yA'],
  ])('cracks mode %s and writes the password and nothing else', async (mode, algorithm, password) => {
    const command = hashcatCommand(mode, saltedHash(algorithm, password, saltHex), saltHex, password.length)
    const stdout = await runImage('compute-horde/hashcat:v0', { command })
    expect(stdout.toString('latin1')).toBe(`${password}\n`)
  })

  it('runs as nobody with the kernels that are not optimized, too', async () => {
    const command = hashcatCommand('1410', saltedHash('sha256', 'k8', saltHex), saltHex, 2)
    const pure = command.filter(option => option !== '--optimized-kernel-enable')
    const stdout = await runImage('compute-horde/hashcat:v0', { flags: ['--user', '65534:65534'], command: pure })
    expect(stdout.toString('latin1')).toBe('k8\n')
  })

  it('exits with 1 when no password of that form has the hash', async () => {
    const command = hashcatCommand('1410', saltedHash('sha256', '--', saltHex), saltHex, 2)
    await expect(runImage('compute-horde/hashcat:v0', { command })).rejects.toMatchObject({ code: 1 })
  })
})

describe('echo and python', () => {
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'job-images-'))
    await chmod(folder, 0o755)
  })

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it('echo prints its payload byte for byte, whatever its arguments', async () => {
    const payload = Buffer.from([0, 255, 10, 13, 128, 0xc3, 0x28, 10])
    await writeFile(join(folder, 'payload.txt'), payload, { mode: 0o644 })
    const flags = ['--volume', `${folder}:/volume:ro`]
    expect(await runImage('compute-horde/echo:v0', { flags })).toEqual(payload)
    expect(await runImage('compute-horde/echo:v0', { flags, command: ['--quiet'] })).toEqual(payload)
  })

  it('python runs a script with the standard library', async () => {
    const script = join(folder, 'script.py')
    await writeFile(script, 'import sys, json, hashlib, ssl\nprint(json.dumps({"minor": sys.version_info[1]}))\n', {
      mode: 0o644,
    })
    const stdout = await runImage('compute-horde/python:3.11', {
      flags: ['--volume', `${script}:/script.py:ro`],
      command: ['python', '/script.py'],
    })
    expect(JSON.parse(stdout.toString())).toEqual({ minor: 11 })
  })
})
