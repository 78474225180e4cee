import {
  MANIFEST_2026,
  type Miner2026,
  type Peer2026,
  play2026,
  startMiner2026,
  typesOf,
} from '@horde/testing/peers/v2026/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { describe, expect, it } from 'vitest'
import { KnownDialects } from '../../src/jobs/dialects/known-dialects.ts'
import { withDatabase } from '../db/databases.ts'
import { type DriveOptions, drive, listeningLog, MINER, unknownDialects } from './drive.ts'
import { ERROR, FINISHED, JOB_2024, JOB_2026, MINERS, on, RESULT, work2024 } from './miner-kinds.ts'

const database = withDatabase()

/** Drives one job of the class that the manifests here list. */
function driveOn(miner: Miner2026, options: Partial<DriveOptions>) {
  const { log } = listeningLog()
  return drive(miner, { db: database().db, log, executorClass: 'always_on.test', ...options })
}

/** The validator may say more on a connection that its miner is closing. */
function relevant(types: string[], expected: readonly string[]): string[] {
  const [first] = expected
  if (first === undefined || first.startsWith('1')) return first === undefined ? [] : types
  return types.filter(type => type.startsWith(first.slice(0, 2)))
}

describe.each(MINERS)('a miner $miner', ({ script, says, receives, remembered, ends = FINISHED }) => {
  it('gets its job in its dialect, and the answer is remembered', async () => {
    using clock = turnClock()
    const dialects = unknownDialects()
    await using miner = await startMiner2026(MINER, script, says === undefined ? {} : { capabilities: says })
    const { end, stored } = await driveOn(miner, { dialects, clock, limits: { acceptMs: 1_500 } })
    expect([end?.state, end?.reason]).toEqual(ends)
    // The receipt of the end is on its way still when the job has ended.
    await expect.poll(() => relevant(typesOf(miner), receives), { timeout: 5_000 }).toEqual(receives)
    expect(miner.mistakes).toEqual([])
    expect(dialects.list().map(({ dialect }) => dialect)).toEqual(remembered === undefined ? [] : [remembered])
    if (ends === FINISHED) expect(stored.dialect).toBe(receives.some(type => type.includes('Receipt')) ? 'v2026' : 'v0')
    expect(miner.capabilities[0]).toBe('2026, large-frames')
  })
})

it('waits two seconds for the answer of an unknown miner, and not on the connections after', async () => {
  using clock = turnClock()
  const at: number[] = []
  await using miner = await startMiner2026(MINER, async peer => {
    for (let type = ''; type !== 'V0AuthenticateRequest'; at.push(clock.monotonic())) type = await peer.nextType()
    if (peer.connection === 1) {
      await peer.nextType()
      peer.sendForJob('V0AcceptJobRequest')
      return peer.cut()
    }
    peer.sendForJob('V0ExecutorReadyRequest')
    if ((await peer.nextType()) === 'V0JobRequest') peer.sendForJob('V0JobFinishedRequest', RESULT)
  })
  const dialects = unknownDialects()
  await driveOn(miner, { dialects, clock })
  const [first = 0, second = 0] = at
  expect(second - first).toBeGreaterThan(1_900)
  expect(second - first).toBeLessThan(4_000)
  expect(typesOf(miner).filter(type => type.startsWith('2'))).toEqual(['2 V0AuthenticateRequest', '2 V0JobRequest'])
  expect(dialects.of({ hotkey: MINER.ss58, address: miner.address })).toBe('v0')
})

describe('a miner that is known', () => {
  it.each([
    ['v0', (peer: Peer2026) => work2024(peer), JOB_2024],
    ['v2026', (peer: Peer2026) => play2026.finished(peer), ['ValidatorAuthForMiner', ...JOB_2026]],
  ] as const)('is addressed in %s at once', async (dialect, script, receives) => {
    await using miner = await startMiner2026(MINER, script)
    const dialects = unknownDialects()
    await driveOn(miner, { dialects })
    const before = miner.connections()
    await driveOn(miner, { dialects })
    expect(miner.connections()).toBe(before + 1)
    const types = () => typesOf(miner).filter(type => type.startsWith(`${before + 1} `))
    await expect.poll(types, { timeout: 5_000 }).toEqual(on(before + 1, receives))
    expect(dialects.counts()).toEqual({ v0: 0, v2026: 0, [dialect]: 1 })

    const known: number[] = []
    const told: number[] = []
    for (let run = 0; run < 5; run += 1) {
      known.push(await secondsOf(() => driveOn(miner, { dialects })))
      told.push(await secondsOf(() => driveOn(miner, { startedIn: dialect })))
    }
    // The yardstick is a job whose dialect is given. Knowing it must cost no waiting.
    expect(Math.min(...known)).toBeLessThan(2 * Math.min(...told) + 0.05)
    expect(miner.mistakes).toEqual([])
  })

  it('gets its job, although it spoke v0 before and speaks v2026 now', async () => {
    await using miner = await startMiner2026(MINER, async peer => {
      for (let type = ''; type !== 'ValidatorAuthForMiner'; peer.send(ERROR)) {
        type = await peer.nextType()
        if (type === 'ValidatorAuthForMiner') break
      }
      peer.send(MANIFEST_2026)
      for (let type = ''; type !== 'V0InitialJobRequest'; ) type = await peer.nextType()
      peer.sendForJob('V0AcceptJobRequest')
      peer.sendForJob('V0ExecutorReadyRequest')
      for (let type = ''; type !== 'V0JobRequest'; ) type = await peer.nextType()
      peer.sendForJob('V0JobFinishedRequest', RESULT)
    })
    const dialects = unknownDialects()
    dialects.remember({ hotkey: MINER.ss58, address: miner.address }, 'v0')
    const { end, stored } = await driveOn(miner, { dialects })
    expect([end?.state, stored.dialect]).toEqual(['finished', 'v2026'])
    expect(dialects.counts()).toEqual({ v0: 0, v2026: 1 })
    expect(miner.connections()).toBe(1)
  })

  it('is forgotten after an error, a lost connection, another address and a while', async () => {
    using clock = turnClock()
    const { log } = listeningLog()
    const dialects = new KnownDialects({ keptMs: 1_000, clock, log })
    const [here, there] = ['127.0.0.2:1', '127.0.0.2:2'].map(address => ({ hotkey: MINER.ss58, address }))
    if (!here || !there) throw new Error('no addresses')
    dialects.remember(here, 'v0')
    expect([dialects.of(here), dialects.of(there)]).toEqual(['v0', undefined])
    await clock.sleep(1_001)
    expect(dialects.of(here)).toBe(undefined)
    dialects.remember(here, 'v2026')
    dialects.forget(there)
    expect(dialects.of(here)).toBe('v2026')
    dialects.forget(here)
    expect(dialects.of(here)).toBe(undefined)

    await using miner = await startMiner2026(MINER, async peer => {
      await peer.nextType()
      peer.send(ERROR)
      peer.close()
    })
    const changed = unknownDialects()
    changed.remember({ hotkey: MINER.ss58, address: miner.address }, 'v0')
    const { end } = await driveOn(miner, { dialects: changed })
    expect([end?.reason, changed.list()]).toEqual(['not-authorized', []])
  })
})

async function secondsOf(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await act()
  return (performance.now() - from) / 1000
}
