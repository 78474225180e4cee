/**
 * Replays the miner's side of conversations with the Python validator of January 2026, and compares what this validator
 * says with what that one said.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { OfferMessage, ResultReport } from '@horde/protocol/job/messages'
import { jobUuid } from '@horde/protocol/primitives'
import { MANIFEST_2026, type Peer2026, startMiner2026 } from '@horde/testing/peers/v2026/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { expect, it } from 'vitest'
import type { Verdict } from '../../src/jobs/job-spec.ts'
import { withDatabase } from '../db/databases.ts'
import { drive, listeningLog, MINER } from './drive.ts'

const database = withDatabase()

type Event = [seconds: number, who: string, ...what: unknown[]]

const FIXTURE = new URL('../fixtures/trace-python-validator-of-2026.json', import.meta.url)
const { traces } = JSON.parse(readFileSync(FIXTURE, 'utf8')) as { traces: Record<string, Event[]> }
const TRACES = Object.entries(traces).map(([name, events]) => ({ name, events }))

const UP_TO_WORK = ['ValidatorAuthForMiner', 'V0InitialJobRequest', 'V0JobAcceptedReceiptRequest', 'V0JobRequest']
const END = 'V0JobFinishedReceiptRequest'

/**
 * Where this validator says something else, and why. In all conversations it waits for the manifest before it offers,
 * so the replayed miner sends one.
 */
const DIFFERENCES: Record<string, { why: string; says?: string[]; score?: string | undefined }> = {
  'good job, all messages of the miner at once, no manifest': {
    why: 'A result that arrives before the work was sent is rejected: it cannot be the result of this work.',
    score: '0.000000',
  },
  'connection lost after accept': {
    why: 'It authenticates on each connection, as validators do since October 2026, and rejects the early result.',
    says: [...UP_TO_WORK.slice(0, 3), 'ValidatorAuthForMiner', 'V0JobRequest', END],
    score: '0.000000',
  },
  'stages left out: ready then finished at once': {
    why: 'A good result counts although the miner left out a stage: the user has what he asked for.',
    score: '300.000000',
  },
  'junk, unknown type, GenericError, PING, upper-case uuid, decline': {
    why: 'A uuid is the same uuid in upper case, so the miner has accepted.',
    says: [...UP_TO_WORK.slice(0, 2), 'GenericError', 'GenericError', 'V0JobAcceptedReceiptRequest', END],
  },
  'authentication refused, close 1000': {
    why: 'The refusal ends the job at once. Nothing was offered, so there is nothing to end by a receipt.',
    says: ['ValidatorAuthForMiner', 'V0AuthenticateRequest'],
    score: undefined,
  },
}

it.each(TRACES)('says what the Python validator said: $name', async ({ name, events }) => {
  using clock = turnClock()
  const { log } = listeningLog()
  const uuid = randomUUID()
  await using miner = await startMiner2026(MINER, peer => replay(peer, name, eventsOn(events, peer.connection), uuid))
  await drive(miner, {
    ...{ db: database().db, log, uuid, clock, executorClass: 'always_on.gpu-24gb', withinMs: 60_000 },
    limits: { readySlackMs: 2_000 },
    spec: { isOrganic: true, reservationMs: 3_000, offer: offerOf(uuid), judge },
  })
  await expect.poll(() => miner.closed.size, { timeout: 5_000 }).toBe(miner.connections())
  expect(miner.mistakes).toEqual([])
  const difference = DIFFERENCES[name] ?? {}
  const theirs = events.filter(([, who]) => who === 'V').map(([, , frame]) => JSON.parse(String(frame)))
  const ours = miner.received.map(({ message }) => message).filter(isRelevant(name))
  expect(ours.map(typeOf)).toEqual('says' in difference ? difference.says : theirs.map(typeOf))
  expect(scoreOf(ours)).toBe('score' in difference ? difference.score : scoreOf(theirs))
})

type Message = { message_type?: unknown; payload?: { score_str?: string } }
const typeOf = ({ message_type }: Message) => message_type
const scoreOf = (messages: Message[]) => messages.map(({ payload }) => payload?.score_str).findLast(Boolean)

/** What is said on a connection that its miner is closing may arrive or not. */
function isRelevant(name: string) {
  let isFirst = true
  return (message: Message) => {
    if (!name.startsWith('authentication refused') || message.message_type === 'ValidatorAuthForMiner') return true
    const wasFirst = isFirst
    isFirst = false
    return wasFirst
  }
}

/** The events of one connection, without its opening. */
function eventsOn(events: readonly Event[], connection: number): Event[] {
  const from = events.findIndex(([, who]) => who === `conn${connection}`)
  const to = events.findIndex(([, who]) => who === `conn${connection + 1}`)
  return from < 0 ? [] : events.slice(from + 1, to < 0 ? undefined : to)
}

async function replay(peer: Peer2026, name: string, events: Event[], uuid: string): Promise<void> {
  await peer.nextType()
  const said = events.filter(([, who]) => who === 'M').map(([, , frame]) => String(frame))
  const isRefusal = name.startsWith('authentication refused')
  if (!isRefusal && !said.some(frame => frame.includes('V0ExecutorManifestRequest'))) {
    peer.send({ ...MANIFEST_2026, manifest: { 'always_on.gpu-24gb': 1 } })
  }
  for (const [, who, what] of events) {
    if (who === 'M') peer.send(withUuid(String(what), uuid))
    else if (who === 'V') await until(peer, JSON.parse(String(what)).message_type)
    else if (who.startsWith('closed') && (isRefusal || what === 1001)) peer.close(Number(what))
  }
}

async function until(peer: Peer2026, type: string): Promise<void> {
  if (type === 'ValidatorAuthForMiner') return
  for (let next = ''; next !== type && next !== 'gone'; ) next = await peer.nextType()
}

const THEIR_UUID = 'b4793a02-33a2-4a49-b4e2-4a7b903847e7'

function withUuid(frame: string, uuid: string): string {
  return frame.replaceAll(THEIR_UUID, uuid).replaceAll(THEIR_UUID.toUpperCase(), uuid.toUpperCase())
}

function judge(result: ResultReport): Verdict {
  return { reason: result.type === 'finish' ? null : 'not-run', score: null, rightAnswer: null, comment: null }
}

function offerOf(uuid: string): OfferMessage {
  return {
    ...({ type: 'offer', executorClass: 'always_on.gpu-24gb', image: 'user/image:tag', isStreaming: false } as const),
    ...{ jobUuid: jobUuid.parse(uuid), volumeKind: null, volumes: [] },
    limits: { kind: 'stages', leeway: 1, download: 1, execution: 298, upload: 1, streamingStart: 0 },
  }
}
