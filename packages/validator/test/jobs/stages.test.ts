import { messageTypes, type Peer, play, type ScriptedMiner } from '@horde/testing/peers/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { beforeAll, describe, expect, it } from 'vitest'
import type { jobs } from '../../src/db/schema.ts'
import { runScripts } from '../batches/run-scripts.ts'
import { withDatabase } from '../db/databases.ts'
import { WORK } from './drive.ts'
import { LIMITS, MISBEHAVIOURS, type Misbehaviour, TIMEOUT_SECONDS } from './misbehaviours.ts'

const database = withDatabase()
/** The least number of miners. */
const CROWD = 60
const DEADLINE_MS = 20_000

type Row = typeof jobs.$inferSelect
/** One batch that has every misbehaviour more than once, with good miners between them. */
const copies = Math.ceil(CROWD / MISBEHAVIOURS.length)
const scripts = MISBEHAVIOURS.flatMap(each => Array.from({ length: copies }, () => each))

describe('with every misbehaviour in one batch at once', () => {
  let rows: Row[]
  let miners: ScriptedMiner[]
  let tookMs: number
  let isClosed: boolean
  beforeAll(async () => {
    const work = { ...WORK, timeoutSeconds: TIMEOUT_SECONDS }
    using clock = turnClock()
    const startedAt = clock.monotonic()
    const bad = scripts.map(
      ({ script }) =>
        (peer: Peer) =>
          script(peer, clock),
    )
    const good = Array.from({ length: 4 }, () => play.finished)
    const ran = await runScripts([...bad, ...good], database().db, {
      ...{ limits: LIMITS, deadlineMs: DEADLINE_MS, clock },
      benchmark: {
        name: 'word',
        prepare: () => work,
        verify: (_, { stdout }) => ({ score: stdout === 'right' ? 1 : 0, comment: '' }),
      },
    })
    tookMs = clock.monotonic() - startedAt
    ;({ miners } = ran)
    isClosed = ran.row?.closedAt instanceof Date
    rows = miners.map(miner => ran.rows.find(row => row.minerHotkey === miner.hotkey.ss58) as Row)
  })

  const of = (one: Misbehaviour) =>
    scripts.flatMap((each, i) => (each === one ? [{ row: rows[i] as Row, miner: miners[i] as ScriptedMiner }] : []))

  it.each(MISBEHAVIOURS)('handles a miner that, once $at, decides to $does', one => {
    const [state, reason, scored] = one.ends
    for (const { row, miner } of of(one)) {
      expect([row.state, row.reason, (row.score ?? -1) > 0]).toEqual([state, reason, scored])
      if (!scored) expect(row.score).toBe(0)
      expect(messageTypes(miner)).toEqual(one.receives)
      expect(row.endedAt).toBeInstanceOf(Date)
    }
  })

  it('gives good miners their scores, and closes the batch on time', () => {
    for (const row of rows.slice(scripts.length)) expect(row).toMatchObject({ state: 'finished', reason: null })
    expect(isClosed).toBe(true)
    expect(tookMs).toBeLessThan(DEADLINE_MS)
  })

  it('stores error messages from miners, and the moment of every move', () => {
    const refused = of(MISBEHAVIOURS[0] as Misbehaviour)
    for (const { row } of refused) expect(row.complaint).toBe('no')
    for (const row of rows.filter(each => each.state === 'finished')) {
      const moments = [row.createdAt, row.offeredAt, row.acceptedAt, row.readyAt, row.runningAt, row.endedAt].map(
        Number,
      )
      expect(moments).toEqual(moments.toSorted((a, b) => a - b))
    }
  })
})
