import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@horde/kit/log'
import { EXECUTOR_LABEL } from '@horde/protocol/executor-labels'
import { PYTHON } from '@horde/testing/jobs/executor-job'
import { expect, test } from 'vitest'
import { type Identity, identityText, ownIdentity } from '../src/engine/identity.ts'
import { folderName, sweepLeftovers } from '../src/engine/leftovers.ts'
import { engine } from './engine.ts'

const noSuchContainer = (): Identity => ({ kind: 'container', id: randomBytes(32).toString('hex') })

function container(options: { Cmd?: string[]; volume?: string }) {
  const mounts = options.volume === undefined ? [] : [{ Type: 'volume' as const, Source: options.volume, Target: '/v' }]
  return engine.createContainer({
    Image: PYTHON,
    Cmd: options.Cmd ?? ['true'],
    HostConfig: { NetworkMode: 'none', Mounts: mounts },
  })
}

test('folders of executors in containers are swept once their container is gone, on a shared disk', async () => {
  const id = await container({ Cmd: ['sleep', '600'] })
  await engine.start(id)
  const alive = await mkdtemp(join(tmpdir(), folderName({ kind: 'container', id })))
  const dead = await mkdtemp(join(tmpdir(), folderName(noSuchContainer())))
  try {
    await sweepLeftovers(engine, ownIdentity(), silentLog)
    expect([existsSync(alive), existsSync(dead)]).toEqual([true, false])
  } finally {
    await engine.removeContainer(id)
    await rm(alive, { recursive: true })
    await rm(dead, { recursive: true, force: true })
  }
})

test('what cannot be removed does not keep the rest', async () => {
  const labels = { [EXECUTOR_LABEL]: identityText(noSuchContainer()) }
  const names = ['a', 'b', 'c'].map(end => `compute-horde-test-${randomUUID()}-${end}`)
  for (const name of names) await engine.createVolume(name, labels)
  const [first = '', inUse = '', last = ''] = names
  const id = await container({ volume: inUse })
  const left = async () => {
    const volumes = (await engine.volumesWith(EXECUTOR_LABEL)).map(volume => volume.id)
    return names.filter(name => volumes.includes(name))
  }
  try {
    await expect(engine.removeVolume(inUse)).rejects.toMatchObject({ status: 409 })
    await sweepLeftovers(engine, ownIdentity(), silentLog)
    expect(await left()).toEqual([inUse])
  } finally {
    await engine.removeContainer(id)
    for (const name of [first, inUse, last]) await engine.removeVolume(name)
  }
})
