import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@horde/kit/log'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { PYTHON } from '@horde/testing/jobs/executor-job'
import { expect, test } from 'vitest'
import { type Identity, identityText, ownIdentity } from '../../src/workspace/identity.ts'
import { folderName, removeOrphans } from '../../src/workspace/orphans.ts'
import { engine } from '../engine.ts'

const noSuchContainer = (): Identity => ({ kind: 'container', id: randomBytes(32).toString('hex') })

function container(options: { Cmd?: string[]; volume?: string }) {
  const mounts = options.volume === undefined ? [] : [{ Type: 'volume' as const, Source: options.volume, Target: '/v' }]
  return engine.containers.create({
    Image: PYTHON,
    Cmd: options.Cmd ?? ['true'],
    HostConfig: { NetworkMode: 'none', Mounts: mounts },
  })
}

test('removes folders of executors whose container is gone, on a shared disk', async () => {
  const id = await container({ Cmd: ['sleep', '600'] })
  await engine.containers.start(id)
  const running: Identity = { kind: 'container', id }
  const gone = noSuchContainer()
  const ofOtherEngine = noSuchContainer()
  const volumes = [running, gone].map(identity => ({ identity, name: `compute-horde-test-${randomUUID()}` }))
  for (const { identity, name } of volumes)
    await engine.volumes.create(name, { [EXECUTOR_LABEL]: identityText(identity) })
  const folders: string[] = []
  for (const identity of [running, gone, ofOtherEngine])
    folders.push(await mkdtemp(join(tmpdir(), folderName(identity))))
  try {
    await removeOrphans(engine, ownIdentity(), silentLog)
    expect(folders.map(folder => existsSync(folder))).toEqual([true, false, true])
  } finally {
    await engine.containers.remove(id)
    for (const { name } of volumes) await engine.volumes.remove(name)
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  }
})

test('removes the rest when one orphan cannot be removed', async () => {
  const labels = { [EXECUTOR_LABEL]: identityText(noSuchContainer()) }
  const names = ['a', 'b', 'c'].map(end => `compute-horde-test-${randomUUID()}-${end}`)
  for (const name of names) await engine.volumes.create(name, labels)
  const [first = '', inUse = '', last = ''] = names
  const id = await container({ volume: inUse })
  const left = async () => {
    const volumes = (await engine.volumes.withLabel(EXECUTOR_LABEL)).map(volume => volume.name)
    return names.filter(name => volumes.includes(name))
  }
  try {
    await expect(engine.volumes.remove(inUse)).rejects.toMatchObject({ code: 'conflict' })
    await removeOrphans(engine, ownIdentity(), silentLog)
    expect(await left()).toEqual([inUse])
  } finally {
    await engine.containers.remove(id)
    for (const name of [first, inUse, last]) await engine.volumes.remove(name)
  }
})
