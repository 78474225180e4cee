import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import type { JobRow } from '../db/schema.ts'
import type { ValidatorConnection } from '../validators/validator-connection.ts'
import { type DeliveryDeps, openDelivery } from './delivery.ts'
import type { LiveJob } from './live-job.ts'
import { endReport } from './validator-message.ts'

/** A connection that keeps what is sent until `read` is called. */
function slowConnection() {
  const sent: string[] = []
  const isRead = Promise.withResolvers<boolean>()
  const connection = {
    ...{ dialect: { name: 'v2026' }, isOpen: true, openedAt: 0, number: 1 },
    sendOnce(_id: number, { type }: { type: string }) {
      sent.push(type)
      return { sent: type === 'finish' ? isRead.promise : Promise.resolve(true), read: isRead.promise }
    },
  } as unknown as ValidatorConnection
  return { connection, sent, read: () => isRead.resolve(true) }
}

const ALL = ['accept', 'ready', 'volumes-ready', 'execution-done', 'finish']

function start(stdout: string, connections: ValidatorConnection[]) {
  const row = { uuid: 'u', state: 'finished', readyAt: new Date(0), reason: null } as unknown as JobRow
  row.result = { exitStatus: 0, stdout, stderr: '' }
  const origin = { open: undefined, lostAt: Number.NEGATIVE_INFINITY, number: 0, has: () => false }
  const job = { id: 1, validator: 'v', row, origin, isDelivered: false, steps: [], listeners: [] }
  const deps = { connections: { of: () => connections }, clock: manualClock(), log: silentLog }
  const delivery = openDelivery(deps as unknown as DeliveryDeps)
  return { job, sending: delivery.send(job as unknown as LiveJob, endReport(row)) }
}

const settled = () => new Promise(resolve => setImmediate(resolve))

it('sends a large result on one connection after the other, until it is delivered', async () => {
  const [first, second, third] = [slowConnection(), slowConnection(), slowConnection()]
  const { job, sending } = start(
    'x'.repeat(200_000),
    [first, second, third].map(({ connection }) => connection),
  )
  await settled()
  expect([first.sent, second.sent]).toEqual([ALL, []])
  first.read()
  await settled()
  expect([second.sent, third.sent]).toEqual([ALL, []])
  job.isDelivered = true
  second.read()
  await sending
  expect(third.sent).toEqual([])
})

it('sends a small result on all connections at once', async () => {
  const [first, second] = [slowConnection(), slowConnection()]
  const { sending } = start('x', [first.connection, second.connection])
  await settled()
  expect([first.sent, second.sent]).toEqual([ALL, ALL])
  first.read()
  second.read()
  await sending
})
