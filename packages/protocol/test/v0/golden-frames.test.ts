import { describe, expect, it } from 'vitest'
import type { Parser } from '../../src/frame.ts'
import * as facilitatorValidator from '../../src/v0/facilitator-validator.ts'
import * as minerExecutor from '../../src/v0/miner-executor.ts'
import * as validatorMiner from '../../src/v0/validator-miner.ts'
import { readFixture, readGolden } from '../golden.ts'

const LINKS: Record<string, Record<string, Parser<unknown>>> = {
  'validator-miner': { validator: validatorMiner.parseFromValidator, miner: validatorMiner.parseFromMiner },
  'miner-executor': { miner: minerExecutor.parseFromMiner, executor: minerExecutor.parseFromExecutor },
  'facilitator-validator': {
    facilitator: facilitatorValidator.parseFromFacilitator,
    validator: facilitatorValidator.parseFromValidator,
  },
}

/** The facilitator's response is the only message without `message_type`. */
const UNTYPED = 'Response'

/** Every message by link and sender, as docs/protocol.md lists them. */
const MESSAGES: Record<string, Record<string, string[]>> = {
  'validator-miner': {
    validator: ['V0AuthenticateRequest', 'V0InitialJobRequest', 'V0JobRequest', 'GenericError'],
    miner: [
      'V0AcceptJobRequest',
      'V0DeclineJobRequest',
      'V0ExecutorReadyRequest',
      'V0ExecutorFailedRequest',
      'V0JobFinishedRequest',
      'V0JobFailedRequest',
      'V0ExecutorManifestRequest',
      'UnauthorizedError',
      'GenericError',
    ],
  },
  'miner-executor': {
    miner: ['V0PrepareJobRequest', 'V0RunJobRequest', 'GenericError'],
    executor: ['V0ReadyRequest', 'V0FailedToPrepare', 'V0FinishedRequest', 'V0FailedRequest', 'GenericError'],
  },
  'facilitator-validator': {
    facilitator: ['Response', 'V0JobRequest'],
    validator: ['V0AuthenticationRequest', 'V0JobStatusUpdate', 'V0Heartbeat'],
  },
}

/**
 * Returns JSON as Python's json.dumps writes it: a space after each colon and comma, everything beyond ASCII escaped.
 */
function asPythonWrites(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(asPythonWrites).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([key, field]) => `${asPythonWrites(key)}: ${asPythonWrites(field)}`)
    return `{${fields.join(', ')}}`
  }
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

for (const [link, senders] of Object.entries(LINKS)) {
  const golden = readGolden(link, 'v0/')
  for (const [sender, parse] of Object.entries(senders)) {
    describe(`${link}: messages of the ${sender}`, () => {
      const listed = [...(MESSAGES[link]?.[sender] ?? [])].sort()
      it('have a golden frame each, and there are no others', () => {
        expect(Object.keys(golden[sender] ?? {}).sort()).toEqual(listed)
      })
      it('have a schema each, and there are no others', () => {
        expect(parse.messageTypes.toSorted()).toEqual(listed.filter(type => type !== UNTYPED))
      })
      for (const [type, frames] of Object.entries(golden[sender] ?? {})) {
        it.each(frames)(`${type} $shows`, ({ frame, reads }) => {
          const message = reads ?? frame
          expect(parse(JSON.stringify(frame))).toEqual({ ok: true, message })
          expect(parse(asPythonWrites(frame))).toEqual({ ok: true, message })
          expect(parse(JSON.stringify(message)), 'a parsed message can be sent on').toEqual({ ok: true, message })
        })
      }
    })
  }
}

describe('frames that v0 peers sent', () => {
  const READERS: [string, string[], Parser<unknown>][] = [
    ['v0 executor', [], minerExecutor.parseFromExecutor],
    ['v0 miner', ['V0PrepareJobRequest', 'V0RunJobRequest'], minerExecutor.parseFromMiner],
    ['v0 miner', [], validatorMiner.parseFromMiner],
    [
      'v0 validator',
      ['V0AuthenticationRequest', 'V0JobStatusUpdate', 'V0Heartbeat'],
      facilitatorValidator.parseFromValidator,
    ],
    ['v0 validator', [], validatorMiner.parseFromValidator],
  ]
  type Row = { sent_by: string; message_type: string; frame: string }
  const { frames } = JSON.parse(readFixture('v0/v0-frames.json')) as { frames: Row[] }

  it.each(frames)('$sent_by $message_type', ({ sent_by, message_type, frame }) => {
    const reader = READERS.find(
      ([who, types]) => sent_by.startsWith(who) && (types.length === 0 || types.includes(message_type)),
    )
    expect(reader?.[2](frame)).toEqual({ ok: true, message: JSON.parse(frame) })
  })
})
