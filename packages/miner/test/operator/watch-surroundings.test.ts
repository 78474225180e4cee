/** Watches over disks, the engine and the database: real ones, and ones that are away. */
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EngineAddress } from '@horde/engine/engine-address'
import { openDatabase } from '@horde/kit/database'
import { systemClock } from '@horde/kit/time'
import { databaseWatch } from '@horde/operator/watch/database'
import { lookAtDisks } from '@horde/operator/watch/disk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readMinerConfig } from '../../src/config.ts'
import { diskFolders } from '../../src/operator/watches/disks.ts'
import { lookAtEngine } from '../../src/operator/watches/engine.ts'
import { enginesOf } from '../../src/operator/watches/miner-watches.ts'
import { temporaryFolder } from '../harness.ts'

const { signal } = new AbortController()
const TOO_MUCH = Number.MAX_SAFE_INTEGER

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(() => folder[Symbol.asyncDispose]())

describe('disks', () => {
  const place = (of: string, ...path: string[]) => ({ of, path: join(folder.path, ...path) })

  it('gives one finding per disk, also for a folder that does not exist yet', async () => {
    const folders = [place('database', 'not', 'yet', 'made'), place('temporary files')]
    const [finding, ...more] = await lookAtDisks(folders, { lowBytes: 0, fullBytes: 0 })
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      ...{ verdict: 'ok', subject: 'disk', of: 'database, temporary files', measured: expect.any(Number) },
      found: expect.stringMatching(/^\d+\.\d GB of \d+\.\d GB free \(database, temporary files\)$/),
    })
  })

  it.each([
    ['warn', { lowBytes: TOO_MUCH, fullBytes: 0 }],
    ['bad', { lowBytes: TOO_MUCH, fullBytes: TOO_MUCH }],
  ])('is %s with less free space than %j', async (verdict, rules) => {
    expect(await lookAtDisks([place('database')], rules)).toMatchObject(
      [{ verdict, advice: /room/ }].map(each => ({ ...each, advice: expect.stringMatching(each.advice) })),
    )
  })

  it('gives one finding for each of several disks', async () => {
    const folders = [place('database'), { of: 'memory', path: '/dev/shm' }]
    expect((await lookAtDisks(folders, { lowBytes: 0, fullBytes: 0 })).map(({ of }) => of)).toEqual([
      'database',
      'memory',
    ])
  })

  it('watches the folders that the settings name', async () => {
    const settings = { BITTENSOR_NETUID: '1', BITTENSOR_NETWORK: 'local', DISK_FOLDERS: '/dev/shm, /disks/database' }
    const folders = await diskFolders(readMinerConfig({ ...settings, DATABASE_URL: 'postgres://host/name' }), [])
    expect(folders.map(({ path }) => path)).toEqual([tmpdir(), '/dev/shm', '/disks/database'])
  })

  it('gives no finding for a folder of another machine', async () => {
    const elsewhere = { ...place('images', 'not-here'), mayBeElsewhere: true }
    expect(await lookAtDisks([elsewhere], { lowBytes: 0, fullBytes: 0 })).toEqual([])
  })
})

describe('engines', () => {
  const look = (engine: EngineAddress, image: string, mayPull: boolean) =>
    lookAtEngine({ engine, images: [image], mayPull })
  const docker = { socket: '/var/run/docker.sock' }

  it('finds that the engine of this machine answers and has the executor image', async () => {
    expect(await look(docker, 'compute-horde/executor:v0', false)).toMatchObject([
      { verdict: 'ok', subject: 'engine', found: expect.stringMatching(/^Docker \d+\.\d+\S* answers at unix:/) },
      { verdict: 'ok', subject: 'image', found: 'compute-horde/executor:v0 is there' },
    ])
  })

  it('warns of a missing image that may be pulled, and finds any other missing image bad', async () => {
    expect((await look(docker, 'no/such:image', true))[1]).toMatchObject({ verdict: 'warn', subject: 'image' })
    expect((await look(docker, 'no/such:image', false))[1]).toMatchObject({
      verdict: 'bad',
      found: expect.stringContaining('DEBUG_SKIP_PULLING_EXECUTOR_IMAGE'),
    })
  })

  it('finds an engine bad that does not answer', async () => {
    expect(await look({ socket: join(folder.path, 'docker.sock') }, 'img', true)).toMatchObject([
      {
        verdict: 'bad',
        subject: 'engine',
        found: expect.stringContaining('no such socket'),
        advice: expect.any(String),
      },
    ])
  })

  it('finds an engine of another host bad when its certificates are missing', async () => {
    const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map(name => join(folder.path, name)) as [
      string,
      string,
      string,
    ]
    const tls = { host: '127.0.0.1', port: 1, ca, cert, key }
    expect(await look({ tls, remoteSocket: '/d.sock' }, 'img', true)).toMatchObject([
      { verdict: 'bad', found: expect.stringMatching(/^Docker at tcp:\/\/127\.0\.0\.1:1 is away: .*ca\.pem/) },
    ])
  })

  it('finds an engine bad that gives invalid answers', async () => {
    const socket = join(folder.path, 'docker.sock')
    const server = createServer((_request, response) => response.writeHead(500).end('{"message":"out of order"}'))
    await new Promise<void>(resolve => server.listen(socket, resolve))
    expect(await look({ socket }, 'img', true)).toMatchObject([
      { verdict: 'bad', found: expect.stringContaining('out of order') },
    ])
    server.close()
  })

  it('checks an engine that several pools share once, with all their images', () => {
    const config = readMinerConfig({ BITTENSOR_NETUID: '1', BITTENSOR_NETWORK: 'local' })
    const pool = { name: 'p', executorClass: 'always_on.test', count: 1, warm: 0, gpus: [], environment: {} } as const
    const more = {
      engine: docker,
      address: undefined,
      manager: 'docker',
      program: 'compute-horde',
      folder: undefined,
    } as const
    const pools = ['a', 'b', 'a'].map(image => ({ ...pool, ...more, image }))
    expect(enginesOf([...pools, { ...pool, ...more, manager: 'process', image: 'c' }], config)).toEqual([
      { engine: docker, images: ['a', 'b'], mayPull: true },
    ])
  })
})

it('finds a database ok when it answers, else bad', async () => {
  const database = await openDatabase({
    url: 'pglite://memory',
    migrationsFolder: new URL('../../drizzle', import.meta.url).pathname,
  })
  const watch = databaseWatch(database.db, systemClock)
  expect(await watch.look(signal)).toMatchObject([
    { verdict: 'ok', found: expect.stringMatching(/^answers in \d+ ms$/), measured: expect.any(Number) },
    { verdict: 'ok', subject: 'database size', found: expect.stringMatching(/^\d+\.\d MB$/) },
  ])
  await database[Symbol.asyncDispose]()
  expect(await watch.look(signal)).toMatchObject([{ verdict: 'bad', found: expect.stringMatching(/^does not answer/) }])
})
