/** Many volumes of every kind in a real container. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSettings } from '@horde/kit/config'
import { createLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import type { Volume } from '@horde/protocol/job/volumes'
import { TestHub } from '@horde/testing/hub/test-hub'
import { PYTHON, zipBase64, zipBytes } from '@horde/testing/jobs/executor-job'
import { WAIT_MS } from '@horde/testing/limits'
import { volumesWith } from '@horde/testing/local-engine'
import { TestWeb } from '@horde/testing/peers/http-target'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { settings } from '../../src/config.ts'
import { CapturedOutput } from '../../src/container/captured-output.ts'
import { runContainer } from '../../src/container/run-container.ts'
import { inspectHost } from '../../src/host/inspect-host.ts'
import { type LoadDeps, loadVolumes } from '../../src/inputs/load-volumes.ts'
import { jobLimits, workspaceSizes } from '../../src/job/job-limits.ts'
import { identityText, ownIdentity } from '../../src/workspace/identity.ts'
import { Workspace } from '../../src/workspace/workspace.ts'
import { engine } from '../engine.ts'

const LARGE = 'x'.repeat(3_000_000)
/** Prints path, mode and size or text of everything in /volume, and what becomes of an attempt to write there. */
const SCRIPT = `
import json, os
found = {}
for folder, folders, files in os.walk("/volume"):
  for name in folders + files:
    path = os.path.join(folder, name)
    mode = oct(os.lstat(path).st_mode)
    text = open(path).read() if os.path.isfile(path) else None
    found[path] = [mode, text if text is None or len(text) < 100 else len(text)]
try:
  open("/volume/new", "w")
  found["written"] = True
except OSError as error:
  found["written"] = error.strerror
print(json.dumps(found))
`
const FOLDER = ['0o40755', null]
const file = (text: string | number) => ['0o100644', text]

let web: TestWeb
let hub: TestHub
let cache: string
/** The statuses that the server answered, in order. */
const sent: number[] = []
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'input-cache-'))
  const zip = await zipBytes({ 'from/url.txt': 'zip of a URL', 'overlaid.txt': 'zip of a URL' })
  web = await TestWeb.start((request, response) => {
    response.once('finish', () => sent.push(response.statusCode))
    response.setHeader('ETag', `"${request.url}"`)
    if (request.headers['if-none-match'] === `"${request.url}"`) response.writeHead(304).end()
    else response.end(request.url === '/input.zip' ? zip : `file of ${request.url}`)
  })
  hub = await TestHub.start()
  hub.add({
    name: 'owner/tiny',
    files: { 'config.json': '{}', 'weights/a.bin': LARGE, skipped: '' },
    lfs: ['weights/a.bin'],
  })
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await hub[Symbol.asyncDispose]()
  await rm(cache, { recursive: true })
})

const volumes = async (): Promise<Volume[]> => [
  { kind: 'inline-zip', base64: await zipBase64({ 'inline.txt': 'inline', 'overlaid.txt': 'inline' }), folder: null },
  { kind: 'zip-url', url: web.url('/input.zip'), folder: '' },
  { kind: 'file-url', url: web.url('/one'), path: 'single/größe.txt' },
  {
    kind: 'hugging-face',
    repoId: 'owner/tiny',
    repoType: 'model',
    revision: 'main',
    allowPatterns: ['*.json', 'weights/'],
    token: null,
    folder: 'models/tiny/',
  },
]

/** Loads volumes into a workspace of its own, with these settings. */
async function withLoaded<T>(
  wanted: Volume[],
  env: Record<string, string>,
  then: (workspace: Workspace) => Promise<T>,
): Promise<T> {
  const required = { MINER_ADDRESS: 'ws://127.0.0.1:1', EXECUTOR_TOKEN: 'none' }
  const parsed = readSettings(settings, { ...required, ALLOW_PRIVATE_TARGETS: 'true', HF_ENDPOINT: hub.url, ...env })
  const self = ownIdentity()
  const { facts } = await inspectHost({ engine, settings: parsed, self })
  const log = createLog('test', { level: 'silent' })
  const sizes = workspaceSizes(jobLimits(parsed, facts))
  await using workspace = await Workspace.open(engine, { self, jobUuid: crypto.randomUUID(), ...facts }, sizes, log)
  const deps: LoadDeps = { workspace, settings: parsed, msLeft: () => WAIT_MS, clock: systemClock, log }
  await loadVolumes(wanted, {}, deps, AbortSignal.timeout(WAIT_MS))
  return await then(workspace)
}

/** What a container prints that has a workspace's input as its /volume. */
async function seenIn(workspace: Workspace, isReadOnly = true): Promise<Record<string, unknown>> {
  const id = await workspace.createContainer({
    Image: PYTHON,
    User: '1234:1234',
    Cmd: ['python', '-c', SCRIPT],
    HostConfig: {
      NetworkMode: 'none',
      LogConfig: { Type: 'none', Config: {} },
      Binds: [`${workspace.inputVolume}:/volume${isReadOnly ? ':ro' : ''}`],
    },
  })
  await using output = await CapturedOutput.open(workspace.folder)
  const limits = { timeMs: WAIT_MS, maxOutputBytes: 1_000_000 }
  const deps = { containers: engine.containers, output, clock: systemClock }
  await runContainer(id, limits, deps, AbortSignal.timeout(WAIT_MS))
  return JSON.parse((await output.texts()).stdout)
}

const SEEN = {
  '/volume/inline.txt': file('inline'),
  '/volume/overlaid.txt': file('zip of a URL'),
  '/volume/from': FOLDER,
  '/volume/from/url.txt': file('zip of a URL'),
  '/volume/single': FOLDER,
  '/volume/single/größe.txt': file('file of /one'),
  '/volume/models': FOLDER,
  '/volume/models/tiny': FOLDER,
  '/volume/models/tiny/config.json': file('{}'),
  '/volume/models/tiny/weights': FOLDER,
  '/volume/models/tiny/weights/a.bin': file(LARGE.length),
  written: 'Read-only file system',
}

test('a container finds volumes of every kind, read-only, and no copy stays on this disk', async () => {
  const left = await withLoaded(await volumes(), {}, async workspace => {
    expect(await seenIn(workspace)).toEqual(SEEN)
    return readdir(workspace.folder)
  })
  expect(left).not.toContain('inputs')
})

test('a second job gets the same from the cache, and cannot write to it', async () => {
  const env = { INPUT_CACHE_FOLDER: cache, WRITABLE_VOLUME: 'true' }
  const writable = Object.fromEntries(
    Object.entries({ ...SEEN, written: true }).map(([path, seen]) => {
      const [mode, text] = Array.isArray(seen) ? seen : []
      return [path, mode === undefined ? seen : [mode === '0o40755' ? '0o40777' : '0o100666', text]]
    }),
  )
  for (const status of [200, 304]) {
    sent.length = 0
    await withLoaded(await volumes(), env, async workspace => expect(await seenIn(workspace, false)).toEqual(writable))
    expect(sent).toEqual([status, status])
    expect((await readdir(cache)).filter(name => name.startsWith('contents-'))).toHaveLength(4)
  }
})

test('nothing is left of a job whose volumes are refused', async () => {
  const [first] = await volumes()
  const bad: Volume[] = [first as Volume, { kind: 'file-url', url: web.url('/one'), path: 'inline.txt/one' }]
  const loading = withLoaded(bad, {}, async () => 'loaded')
  await expect(loading).rejects.toMatchObject({
    message: expect.stringMatching(/^Volume 2 of 2 \(file-url\): It needs a folder where an earlier volume has a file/),
    stage: 'volume-download',
    reason: 'download-failed',
  })
  const left = await volumesWith(EXECUTOR_LABEL)
  expect(left.filter(({ labels }) => labels[EXECUTOR_LABEL] === identityText(ownIdentity()))).toEqual([])
})
