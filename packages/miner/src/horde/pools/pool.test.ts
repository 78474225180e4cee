import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { beforeEach, describe, expect, it } from 'vitest'
import { ExecutorChannels, type ExecutorSocket } from '../../executors/executor-channel.ts'
import type { ExecutorManager, ExecutorOrder } from '../manager.ts'
import { ExecutorPool } from './pool.ts'
import type { PoolSettings } from './pool-settings.ts'
import { GpuUse } from './reservation.ts'

const START_MS = 10_000
const GRACE_MS = 5_000

const SETTINGS: PoolSettings = {
  name: 'pool',
  executorClass: 'always_on.test',
  count: 2,
  warm: 0,
  manager: 'process',
  image: '',
  program: 'compute-horde',
  folder: undefined,
  engine: { socket: '' },
  gpus: [],
  environment: { A: '1' },
  address: undefined,
}

/** Orders that came, and the ends of their executors. */
class Orders implements ExecutorManager {
  readonly all: (ExecutorOrder & { exit(how: string): void; isStopped: boolean })[] = []
  isBroken = false

  async start(order: ExecutorOrder) {
    if (this.isBroken) throw new Error('no executor today')
    const { promise: exited, resolve: exit } = Promise.withResolvers<string>()
    const started = { ...order, exit, isStopped: false }
    this.all.push(started)
    const stop = async () => {
      started.isStopped = true
    }
    return { id: 'scripted', exited, stop }
  }
}

const socket = () => ({ isOpen: true, close: async () => {} }) as unknown as ExecutorSocket

let clock: ReturnType<typeof manualClock>
let orders: Orders
let channels: ExecutorChannels
let gpuUse: GpuUse
beforeEach(() => {
  clock = manualClock()
  orders = new Orders()
  channels = new ExecutorChannels(clock)
  gpuUse = new GpuUse()
})

function poolOf(changes: Partial<PoolSettings> = {}): ExecutorPool {
  const deps = {
    manager: orders,
    canFindOrphans: true,
    minerAddress: 'ws://m',
    channels,
    gpuUse,
    startWithinMs: START_MS,
    graceMs: GRACE_MS,
  }
  return new ExecutorPool({ ...SETTINGS, ...changes }, { ...deps, clock, log: silentLog })
}

/** What the loop of the horde does each second. */
async function look(pool: ExecutorPool, seconds = 0): Promise<void> {
  await clock.advance(seconds * 1000)
  pool.keepWarm()
  await clock.advance(0)
}

function connect(index = -1) {
  const channel = channels.find(orders.all.at(index)?.token ?? '')
  const connected = socket()
  channel?.attach(connected, { capabilities: [], userAgent: undefined })
  return { channel, lose: () => channel?.detach(connected) }
}

describe('slots', () => {
  it('are reserved until none is left, and given back once', () => {
    const pool = poolOf()
    const [first, second] = [pool.reserve(), pool.reserve()]
    expect([first?.place, second?.place, pool.reserve()]).toEqual(['pool/0', 'pool/1', undefined])
    first?.release()
    first?.release()
    expect(pool.usage()).toMatchObject({ taken: 1, places: 2 })
    expect([pool.reserve()?.place, pool.reserve()]).toEqual(['pool/0', undefined])
  })

  it('are free once their executor has sent its result; the next job waits there until it is gone', async () => {
    const pool = poolOf({ count: 1, warm: 1 })
    const leaving = pool.reserve()?.leave()
    expect(pool.usage()).toMatchObject({ taken: 0, leaving: 1, places: 1 })
    await look(pool)
    expect(orders.all, 'nothing is started ahead there').toEqual([])
    const next = pool.reserve()
    expect([next?.place, pool.reserve()]).toEqual(['pool/0', undefined])
    let isHurried = false
    let isVacated = false
    void leaving?.hurried.then(() => {
      isHurried = true
    })
    await clock.advance(0)
    expect(isHurried).toBe(false)
    void next?.vacated().then(() => {
      isVacated = true
    })
    await clock.advance(0)
    expect([isHurried, isVacated]).toEqual([true, false])
    leaving?.end()
    await clock.advance(0)
    expect(isVacated).toBe(true)
    next?.release()
    expect(pool.usage()).toMatchObject({ taken: 0, leaving: 0 })
    await look(pool)
    expect(orders.all).toHaveLength(1)
  })

  it('without a leaving executor come first', () => {
    const pool = poolOf()
    const [first] = [pool.reserve(), pool.reserve()?.release()]
    first?.leave()
    expect([pool.reserve()?.place, pool.reserve()?.place]).toEqual(['pool/1', 'pool/0'])
  })

  it('given back unused still wait for the previous executor', async () => {
    const pool = poolOf({ count: 1, gpus: [['0']] })
    const leaving = pool.reserve()?.leave()
    pool.reserve()?.release()
    let isVacated = false
    void pool
      .reserve()
      ?.vacated()
      .then(() => {
        isVacated = true
      })
    await clock.advance(0)
    expect(isVacated).toBe(false)
    leaving?.end()
    await clock.advance(0)
    expect(isVacated).toBe(true)
  })

  it('get GPUs of another pool only once the executor that had them is gone', async () => {
    const pool = poolOf({ count: 1, gpus: [['0', '1']] })
    const other = poolOf({ name: 'other', count: 1, gpus: [['1']] })
    const first = pool.reserve()
    expect(other.reserve()).toBeUndefined()
    const leaving = first?.leave()
    const second = other.reserve()
    expect([second?.place, pool.reserve()]).toEqual(['other/0', undefined])
    let isVacated = false
    void second?.vacated().then(() => {
      isVacated = true
    })
    await clock.advance(0)
    expect(isVacated).toBe(false)
    leaving?.end()
    await clock.advance(0)
    expect(isVacated).toBe(true)
  })

  it('whose GPUs another pool is leaving get a new executor instead of the warm one', async () => {
    const pool = poolOf({ count: 1, gpus: [['0']] })
    const other = poolOf({ name: 'other', count: 1, warm: 1, gpus: [['0']] })
    await look(other)
    connect()
    const leaving = pool.reserve()?.leave()
    const next = other.reserve()
    expect([next?.place, next?.warm]).toEqual(['other/0', undefined])
    await clock.advance(0)
    expect(orders.all.map(({ isStopped }) => isStopped)).toEqual([true])
    next?.release()
    leaving?.end()
    await look(other)
    expect(orders.all).toHaveLength(2)
    expect(other.reserve()?.warm).toBeDefined()
  })

  it('each have their own GPUs, which no other pool has at the same time', async () => {
    const gpus = [
      ['0', '1'],
      ['2', '3'],
    ]
    const pool = poolOf({ gpus })
    const reserved = [pool.reserve(), pool.reserve()]
    for (const each of reserved) await each?.start('token')
    const ids = orders.all.map(({ environment }) => environment)
    expect(ids).toEqual([
      { A: '1', EXECUTOR_GPU_DEVICE_IDS: '0,1' },
      { A: '1', EXECUTOR_GPU_DEVICE_IDS: '2,3' },
    ])
    const other = poolOf({ name: 'other', count: 1, gpus: [['1', '2']] })
    expect(other.reserve()).toBeUndefined()
    reserved[0]?.release()
    expect(other.reserve()).toBeUndefined()
    reserved[1]?.release()
    expect(other.reserve()?.place).toBe('other/0')
    expect(pool.reserve(), 'the other way round').toBeUndefined()
  })

  it('of an earlier run are occupied again where they are free', () => {
    const pool = poolOf()
    expect(pool.occupy(1)?.place).toBe('pool/1')
    expect([pool.occupy(1), pool.occupy(7)]).toEqual([undefined, undefined])
    expect([pool.reserve()?.place, pool.reserve()]).toEqual(['pool/0', undefined])
  })
})

describe('warm executors', () => {
  it('are started ahead, and a job gets one that is connected', async () => {
    const pool = poolOf({ count: 3, warm: 2 })
    await look(pool)
    await look(pool)
    expect(orders.all.map(({ environment }) => environment)).toEqual(Array(2).fill({ A: '1', PREPARE_AHEAD: 'true' }))
    expect(orders.all[0]?.token).toMatch(/^[0-9a-f-]{36}-[0-9a-f-]{36}$/)
    connect(1)
    expect(pool.usage()).toMatchObject({ taken: 0, warm: { ready: 1, starting: 1 } })
    const reservation = pool.reserve()
    expect(reservation?.warm?.channel.token).toBe(orders.all[1]?.token)
    expect(pool.usage()).toMatchObject({ taken: 1, warm: { ready: 0, starting: 1 } })
    await look(pool, 1)
    expect(orders.all, 'the third place has one now').toHaveLength(3)
    reservation?.release()
    await look(pool, 1)
    expect(orders.all, 'two wait').toHaveLength(3)
  })

  it('that exit, never connect, or lose their connection are replaced', async () => {
    const pool = poolOf({ count: 1, warm: 1 })
    await look(pool)
    orders.all[0]?.exit('exit code 1')
    await look(pool, 1)
    expect(channels.find(orders.all[0]?.token ?? ''), 'its token is invalid').toBeUndefined()
    await look(pool, 1)
    expect(orders.all).toHaveLength(2)
    await look(pool, START_MS / 1000 + 1)
    expect(orders.all[1]?.isStopped).toBe(true)
    await look(pool, 2)
    expect(orders.all).toHaveLength(3)
    connect().lose()
    await look(pool, 1)
    expect(orders.all[2]?.isStopped, 'it may come back').toBe(false)
    await look(pool, GRACE_MS / 1000)
    expect(orders.all[2]?.isStopped).toBe(true)
  })

  it('that cannot be started are tried again after longer and longer waits', async () => {
    const pool = poolOf({ count: 1, warm: 1 })
    orders.isBroken = true
    let tries = 0
    orders.start = async () => {
      tries += 1
      throw new Error('no executor today')
    }
    for (let second = 0; second < 120; second += 1) await look(pool, 1)
    expect(tries).toBeGreaterThan(4)
    expect(tries).toBeLessThan(10)
  })

  it('of no use do not block their slot', async () => {
    const pool = poolOf({ count: 1, warm: 1 })
    await look(pool)
    connect().lose()
    const reservation = pool.reserve()
    expect(reservation?.warm).toBeUndefined()
    await clock.advance(0)
    expect(orders.all[0]?.isStopped).toBe(true)
    await reservation?.start('token')
    expect(orders.all[1]?.environment).toEqual({ A: '1' })
  })

  it('are ended when the pool is closed', async () => {
    const pool = poolOf({ count: 2, warm: 2 })
    await look(pool)
    connect()
    await pool.close()
    expect(orders.all.map(({ isStopped }) => isStopped)).toEqual([true, true])
    expect(pool.reserve()).toBeUndefined()
    await look(pool, 10)
    expect(orders.all).toHaveLength(2)
  })
})

describe('changed settings', () => {
  it('with fewer slots keep running jobs, and start nothing new in the removed slots', async () => {
    const pool = poolOf({ count: 3, warm: 1 })
    const reserved = [pool.reserve(), pool.reserve(), pool.reserve()]
    pool.change({ ...SETTINGS, count: 1 })
    expect(pool.usage()).toMatchObject({ places: 1, taken: 3 })
    reserved[2]?.release()
    expect(pool.reserve()).toBeUndefined()
    reserved[0]?.release()
    expect(pool.reserve()?.place).toBe('pool/0')
    pool.change({ ...SETTINGS, count: 3 })
    expect([pool.reserve()?.place, pool.reserve()]).toEqual(['pool/2', undefined])
  })

  it('with fewer slots and then more bring the slots back', () => {
    const pool = poolOf({ count: 3 })
    const reserved = [pool.reserve(), pool.reserve(), pool.reserve()]
    reserved[1]?.release()
    pool.change({ ...SETTINGS, count: 1 })
    pool.change({ ...SETTINGS, count: 3 })
    expect([pool.reserve()?.place, pool.reserve()]).toEqual(['pool/1', undefined])
  })

  it('with another environment restart the warm executors', async () => {
    const pool = poolOf({ count: 1, warm: 1 })
    await look(pool)
    connect()
    pool.change({ ...SETTINGS, count: 1, warm: 1, environment: { A: '2' } })
    await look(pool)
    expect(orders.all.map(({ environment, isStopped }) => [environment.A, isStopped])).toEqual([
      ['1', true],
      ['2', false],
    ])
  })
})

describe('a manager that is asked whether it could start an executor', () => {
  it.each<[string, () => Promise<never>]>([
    ['rejects', () => Promise.reject(new Error('a fault of the module'))],
    ['never answers', () => new Promise(() => {})],
    [
      'throws',
      () => {
        throw new Error('a fault of the module')
      },
    ],
  ])('and %s cannot tell, so the slot is used', async (_, whyNot) => {
    const pool = poolOf()
    Object.assign(orders, { whyNot })
    const asked = pool.reserve()?.whyNot()
    await clock.advance(5_000)
    expect(await Promise.race([asked, Promise.resolve('still waiting')])).toBeUndefined()
  })
})
