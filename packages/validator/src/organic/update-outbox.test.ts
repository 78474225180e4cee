import { createLog, silentLog } from '@horde/kit/log'
import { jobUuid } from '@horde/protocol/primitives'
import type { V0JobStatusUpdate } from '@horde/protocol/v2026/facilitator-validator'
import { describe, expect, it } from 'vitest'
import { failedUpdate } from './dialects/v0.ts'
import { rejectedUpdate } from './dialects/v2026.ts'
import { type StatusUpdate, UpdateOutbox } from './update-outbox.ts'

const UUID = '5f3b3c1e-8f0b-4d0a-9f53-0c4dbd4d4a11'
const rejected = (uuid: string, message = 'm'.repeat(5_000)) =>
  rejectedUpdate(uuid, 'validator', { reason: 'unknown', message })
const messageOf = (update: StatusUpdate | undefined) =>
  (update as V0JobStatusUpdate | undefined)?.metadata?.job_rejection_details?.message

/** Opens a connection, and lets the outbox send on it. */
async function connect(outbox: UpdateOutbox) {
  const sent: StatusUpdate[] = []
  outbox.sendOn({ send: async update => void sent.push(update) })
  await outbox.flushed
  return { sent, uuids: () => sent.map(({ uuid }) => uuid) }
}

describe('an update on which the facilitator ends one connection after the other', () => {
  it('is sent alone, then without details, and dropped at last', async () => {
    const outbox = new UpdateOutbox(silentLog)
    outbox.put(rejected('a'))
    outbox.put(rejected('b'))
    expect((await connect(outbox)).uuids()).toEqual(['a', 'b'])
    const messages: (string | undefined)[] = []
    for (let losses = 1; losses < 6; losses += 1) {
      outbox.connectionEnded({ isRefusal: true })
      const { sent, uuids } = await connect(outbox)
      expect(uuids()).toEqual(['a'])
      messages.push(messageOf(sent[0]))
    }
    expect(messages.map(message => message?.length)).toEqual([5_000, 5_000, 1_000, 1_000, 1_000])
    outbox.connectionEnded({ isRefusal: true })
    const { sent } = await connect(outbox)
    expect(sent).toEqual([rejected('b')])
    expect(outbox.confirm()).toEqual({ update: rejected('b'), isWhole: true })
  })

  it('lets the others follow once it is confirmed, and counts as told only when it was whole', async () => {
    const outbox = new UpdateOutbox(silentLog)
    outbox.put(rejected('a'))
    outbox.put(rejected('b'))
    for (let losses = 1; losses <= 3; losses += 1) {
      await connect(outbox)
      outbox.connectionEnded({ isRefusal: true })
    }
    const { uuids } = await connect(outbox)
    expect(outbox.confirm()).toMatchObject({ update: { uuid: 'a' }, isWhole: false })
    await outbox.flushed
    expect(uuids()).toEqual(['a', 'b'])
  })

  it('stays as it is when the connection ended for another reason, or when it is of v0', async () => {
    const outbox = new UpdateOutbox(silentLog)
    const v0 = failedUpdate(jobUuid.parse(UUID), 'why')
    outbox.put(v0)
    outbox.put(rejected('a'))
    for (let losses = 1; losses <= 10; losses += 1) {
      expect((await connect(outbox)).sent).toEqual([v0, rejected('a')])
      outbox.connectionEnded({ isRefusal: true })
    }
    await connect(outbox)
    outbox.confirm()
    for (let losses = 1; losses <= 10; losses += 1) {
      outbox.connectionEnded({ isRefusal: false })
      expect((await connect(outbox)).sent).toEqual([rejected('a')])
    }
  })
})

describe('the details of waiting updates', () => {
  const LIMIT = 20_000
  const lengths = (sent: readonly StatusUpdate[]) => sent.map(update => messageOf(update)?.length)

  it('are dropped from the oldest on when together they are too long, and those updates do not count as told', async () => {
    const { log, lines } = recordingLog()
    const outbox = new UpdateOutbox(log, LIMIT)
    for (const uuid of ['a', 'b', 'c', 'd', 'e']) outbox.put(rejected(uuid))
    const { sent } = await connect(outbox)
    expect(lengths(sent)).toEqual([1_000, 1_000, 5_000, 5_000, 5_000])
    expect(lines.map(({ jobUuid: uuid }) => uuid)).toEqual(['a', 'b'])
    expect(Array.from({ length: 5 }, () => outbox.confirm()?.isWhole)).toEqual([false, false, true, true, true])
  })

  it('stay with the newest update, however long it is', async () => {
    const outbox = new UpdateOutbox(silentLog, LIMIT)
    outbox.put(rejected('a', 'm'.repeat(9_000)))
    outbox.put(rejected('b', 'm'.repeat(9_000)))
    outbox.put(rejected('c', 'm'.repeat(9_000)))
    expect(lengths((await connect(outbox)).sent)).toEqual([1_000, 9_000, 9_000])
    const alone = new UpdateOutbox(silentLog, 1_000)
    alone.put(rejected('a'))
    expect(lengths((await connect(alone)).sent)).toEqual([5_000])
  })

  it('count no more once they are confirmed, and were told when they were dropped only after they were sent', async () => {
    // Four updates are short enough.
    const outbox = new UpdateOutbox(silentLog, 24_000)
    const { sent } = await connect(outbox)
    const send = async (uuid: string) => {
      outbox.put(rejected(uuid))
      await outbox.flushed
    }
    for (const uuid of ['a', 'b', 'c', 'd']) await send(uuid)
    expect(outbox.confirm()).toMatchObject({ update: { uuid: 'a' }, isWhole: true })
    for (const uuid of ['e', 'f']) await send(uuid)
    expect(outbox.confirm()).toMatchObject({ update: { uuid: 'b' }, isWhole: true })
    await send('g')
    expect(lengths(sent)).toEqual(Array(7).fill(5_000))
    outbox.connectionEnded({ isRefusal: false })
    expect(lengths((await connect(outbox)).sent)).toEqual([1_000, 5_000, 5_000, 5_000, 5_000])
    expect(outbox.confirm()).toMatchObject({ update: { uuid: 'c' }, isWhole: false })
  })
})

function recordingLog() {
  const lines: Record<string, unknown>[] = []
  const log = createLog('validator', {
    level: 'warn',
    destination: { write: line => void lines.push(JSON.parse(line)) },
  })
  return { log, lines }
}
