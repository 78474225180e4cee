import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  advance,
  FINAL_STATES,
  isFinal,
  isInOrder,
  JOB_MESSAGES,
  JOB_STATES,
  type JobEvent,
  type JobState,
  MISHAPS,
  OPEN_STATES,
  statesBefore,
} from './job-state.ts'

/** from, message, to. */
const TABLE: [JobState, JobEvent, JobState][] = [
  ['offered', 'accept', 'accepted'],
  ['offered', 'decline', 'rejected'],
  ['accepted', 'ready', 'ready'],
  ['accepted', 'not-prepared', 'broken'],
  ['ready', 'work', 'running'],
  ['ready', 'input-failed', 'failed'],
  ['running', 'finish', 'finished'],
  ['running', 'fail', 'failed'],
  ...OPEN_STATES.map((from): [JobState, JobEvent, JobState] => [from, 'break', 'broken']),
]
/** Messages that leave the state as it is. */
const REPEATED: [JobState, JobEvent][] = [
  ['offered', 'offer'],
  ['accepted', 'offer'],
  ['accepted', 'accept'],
  ['ready', 'offer'],
  ['ready', 'accept'],
  ['ready', 'ready'],
  ['running', 'offer'],
  ['running', 'accept'],
  ['running', 'ready'],
  ['running', 'work'],
  ['running', 'volumes-ready'],
  ['running', 'execution-done'],
]

const EVENTS: JobEvent[] = [...JOB_MESSAGES, ...MISHAPS]

function expected(from: JobState, event: JobEvent): JobState {
  if (isFinal(from)) return from
  const row = TABLE.find(([state, message]) => state === from && message === event)
  if (row) return row[2]
  return REPEATED.some(([state, message]) => state === from && message === event) ? from : 'broken'
}

describe('advance', () => {
  const every = JOB_STATES.flatMap(from => EVENTS.map(event => [from, event] as const))
  it.each(every)('%s – %s', (from, event) => {
    expect(advance(from, event)).toBe(expected(from, event))
  })

  it('only goes forward and never leaves a final state', () => {
    const order: JobState[] = ['offered', 'accepted', 'ready', 'running']
    const rank = (state: JobState) => (isFinal(state) ? order.length : order.indexOf(state))
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...EVENTS)), events => {
        let state: JobState = 'offered'
        for (const event of events) {
          const next = advance(state, event)
          expect(rank(next)).toBeGreaterThanOrEqual(rank(state))
          if (isFinal(state)) expect(next).toBe(state)
          state = next
        }
      }),
    )
  })
})

it('every state is either open or final', () => {
  expect(JOB_STATES.filter(isFinal)).toEqual([...FINAL_STATES])
  expect([...OPEN_STATES, ...FINAL_STATES]).toEqual([...JOB_STATES])
})

it('isInOrder is true only for moves and repeats', () => {
  for (const from of JOB_STATES) {
    for (const message of JOB_MESSAGES) {
      const known = [...TABLE, ...REPEATED].some(([state, event]) => state === from && event === message)
      expect(isInOrder(from, message), `${from} ${message}`).toBe(known)
    }
  }
})

it('statesBefore returns the open states that an event moves', () => {
  expect(statesBefore('ready', 'ready')).toEqual(['accepted'])
  expect(statesBefore('broken', 'timed out')).toEqual([...OPEN_STATES])
  expect(statesBefore('finished', 'finish')).toEqual(['running'])
})
