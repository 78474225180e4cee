/** The command `check`, as an operator runs it. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { engine } from '../engine.ts'

const MAIN = fileURLToPath(new URL('../../src/start.js', import.meta.url))
const GOOD = { PYTHON_IMAGE: 'compute-horde/python:3.11', EXECUTOR_GPU_DEVICE_IDS: 'none' }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'check-'))
})
afterEach(() => rm(folder, { recursive: true }))

function check(env: Record<string, string>): Promise<{ code: number | null; lines: string[]; stderr: string }> {
  const defaults = { PATH: process.env.PATH ?? '', STATE_FOLDER: join(folder, 'state'), ...GOOD }
  return new Promise(resolve => {
    const child = execFile(process.execPath, [MAIN, 'check'], { env: { ...defaults, ...env } }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, lines: stdout.trim().split('\n'), stderr })
    })
  })
}

test('a good host: one line for everything, with the value of every limit', async () => {
  const cache = { INPUT_CACHE_FOLDER: join(folder, 'inputs') }
  const { code, lines, stderr } = await check({ PIDS_LIMIT: '99', CPU_LIMIT: '0.5', ...cache })
  expect(stderr).toBe('')
  expect(lines.filter(line => !/^(ok {3}|warn )/.test(line))).toEqual([])
  expect(code).toBe(0)
  const { version, memoryBytes } = await engine.facts()
  for (const line of [
    'ok   settings: all can be read',
    `ok   memory: what executors remember is in ${folder}/state`,
    `ok   inputs: downloaded inputs are kept in ${folder}/inputs`,
    'ok   gpus: executors have none',
    'ok   image: compute-horde/python:3.11 is here',
    'ok   limit: PIDS_LIMIT=99',
    'ok   limit: CPU_LIMIT=0.5',
    `ok   limit: MEMORY_LIMIT_BYTES=${Math.floor(memoryBytes * 0.75)}`,
  ]) {
    expect(lines).toContain(line)
  }
  const subjects = ['engine', 'kernel', 'runtime', 'limits', 'swap', 'seccomp', 'users', 'disk', 'job']
  for (const subject of subjects) expect(lines.some(line => line.startsWith(`ok   ${subject}: `))).toBe(true)
  expect(lines.find(line => line.includes(' engine: '))).toContain(version)
})

/** The machine's engine behind a socket of its own, which changes some of its answers. */
async function engineTelling(changes: Record<string, unknown>): Promise<{ dockerHost: string } & AsyncDisposable> {
  const server = createServer((question, answer) => {
    const { method = '', url = '', headers } = question
    const asked = httpRequest({ socketPath: '/var/run/docker.sock', method, path: url, headers }, async engine => {
      const isInfo = url.endsWith('/info')
      const { 'content-length': _, ...rest } = engine.headers
      answer.writeHead(engine.statusCode ?? 500, isInfo ? rest : engine.headers)
      if (isInfo) answer.end(JSON.stringify({ ...((await json(engine)) as object), ...changes }))
      else engine.pipe(answer)
    })
    question.pipe(asked)
  })
  const path = join(folder, 'telling.sock')
  await once(server.listen(path), 'listening')
  const close = async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  return { dockerHost: `unix://${path}`, [Symbol.asyncDispose]: close }
}

const TAKEN = /^warn gpus: the engine's cgroup driver is systemd, whose reload .* takes them from running jobs/
const NVIDIA = { nvidia: { path: 'nvidia-container-runtime' }, runc: { path: 'runc' } }

test.each([
  ['systemd and NVIDIA’s runtime', { CgroupDriver: 'systemd', Runtimes: NVIDIA }, true],
  ['cgroupfs and NVIDIA’s runtime', { CgroupDriver: 'cgroupfs', Runtimes: NVIDIA }, false],
  ['systemd alone', { CgroupDriver: 'systemd' }, false],
])('an engine with %s: whether a reload of systemd takes GPUs away', async (_, changes, isWarned) => {
  await using telling = await engineTelling(changes)
  const { lines } = await check({ DOCKER_HOST: telling.dockerHost, EXECUTOR_GPU_DEVICE_IDS: '', KNOWN_ESCAPES: 'warn' })
  const warnings = lines.filter(line => TAKEN.test(line))
  expect(warnings).toHaveLength(isWarned ? 1 : 0)
  const remedy = /To do: run "nvidia-ctk system create-dev-char-symlinks .* or set "native.cgroupdriver=cgroupfs"/
  if (isWarned) expect(warnings[0]).toMatch(remedy)
  expect(lines.some(line => / gpus: executors have none/.test(line))).toBe(!('Runtimes' in changes))
})

test.each([
  ['a setting that is wrong', { PIDS_LIMIT: 'many' }, /^bad {2}settings: PIDS_LIMIT must be .*To do: .*256$/],
  ['an engine that is not there', { DOCKER_HOST: 'unix:///no/engine' }, /^bad {2}engine: .*To do: start Docker/],
  ['GPUs that are not there', { EXECUTOR_GPU_DEVICE_IDS: 'GPU-no-such' }, /^bad {2}gpus: the engine does not offer/],
  ['a runtime that is not there', { RUNTIME: 'no-such' }, /^bad {2}runtime: the engine has none named no-such/],
  [
    'an image that nothing brings',
    { PRELOAD_IMAGES: 'no/such:image', IMAGE_PULL_POLICY: 'never' },
    /^bad {2}image: no\/such:image is not here/,
  ],
])('%s is bad', async (_, env, line) => {
  const { code, lines } = await check(env)
  expect(lines).toContainEqual(expect.stringMatching(line))
  expect(code).toBe(1)
})

test.each([
  [
    'an image that the first job waits for',
    { PYTHON_IMAGE: 'no/such:image' },
    /^warn image: no\/such:image is not here/,
  ],
  ['no usable state folder', { STATE_FOLDER: '/proc/nowhere' }, /^warn memory: \/proc\/nowhere cannot/],
  ['no usable folder for inputs', { INPUT_CACHE_FOLDER: '/proc/nowhere' }, /^warn inputs: \/proc\/nowhere cannot/],
])('%s is a warning alone', async (_, env, line) => {
  const { code, lines } = await check(env)
  expect(lines).toContainEqual(expect.stringMatching(line))
  expect(code).toBe(0)
})

test('a driver that was updated under a running kernel needs a reboot', async () => {
  const hook = join(folder, 'nvidia-container-runtime-hook')
  await writeFile(hook, '#!/bin/sh\necho "nvml error: driver/library version mismatch" >&2\nexit 1\n')
  await chmod(hook, 0o755)
  await using gpuEngine = await PrivateEngine.start({ programs: folder })
  const { code, lines } = await check({ DOCKER_HOST: gpuEngine.dockerHost, EXECUTOR_GPU_DEVICE_IDS: 'all' })
  expect(lines).toContainEqual(
    'bad  gpus: the NVIDIA driver in the kernel and its libraries are of different versions. ' +
      'To do: reboot this machine: the driver was updated',
  )
  expect(code).toBe(1)
})

test('reports the GPUs that the engine offers, on a host that never ran a job', async () => {
  await writeFile(join(folder, 'nvidia-container-runtime-hook'), '#!/bin/sh\n')
  await chmod(join(folder, 'nvidia-container-runtime-hook'), 0o755)
  await using gpuEngine = await PrivateEngine.start({ programs: folder })
  const { lines } = await check({ DOCKER_HOST: gpuEngine.dockerHost, EXECUTOR_GPU_DEVICE_IDS: '0,1' })
  expect(lines).toContain('ok   gpus: the engine offers 0, 1')
  expect(lines).toContainEqual(expect.stringMatching(/^warn nvidia-container-toolkit: its version cannot be seen/))
  expect(await gpuEngine.docker('ps', '--all', '--quiet')).toBe('')
})
