import { bad, ok } from '@horde/kit/check/finding'
import { manualClock } from '@horde/kit/time'
import { describe, expect, it } from 'vitest'
import { html } from '../page/html.ts'
import { statusPage } from '../page/status-page.ts'
import type { ServiceHealth } from './health.ts'
import {
  chainJson,
  healthOf,
  jsonOf,
  type ObservedService,
  processJson,
  type ServiceStatus,
} from './observed-service.ts'

const STATUS: ServiceStatus = {
  ...{ nowMs: 90_400, startedAtMs: 30_000, hotkey: '5Own', netuid: 1, uid: null },
  chain: {
    connected: true,
    endpoint: 'wss://node.example:9944/key?secret',
    lastBlock: { number: 7, seenAtMs: 88_000 },
  },
  watches: [{ watch: 'disk', lookedAtMs: 0, verdict: 'bad', findings: [bad('disk', 'full', 'make room')] }],
}

type Json = { health: ServiceHealth; stored: string | null }

function service(stored: () => Promise<string>): ObservedService<ServiceStatus, string, Json> {
  return {
    status: () => STATUS,
    lacks: () => ({ bad: [], warned: [{ name: 'chain', sentence: 'Old.' }] }),
    stored,
    json: (_status, health, answer) => ({ health, stored: answer }),
    page: ({ health }) => ({ title: 'Test', health, uptimeSeconds: 1, sections: [html`<p>one</p>`] }),
    gauges: {},
  }
}

const HEALTH = {
  ...{ live: true, ready: false, complete: true, bad: ['disk'], warned: ['chain'] },
  reasons: ['Disk: full. To do: make room.', 'Old.'],
}

describe('an observed service', () => {
  it('has the same health at /health, in its JSON and on its page', async () => {
    const observed = service(async () => 'stored')
    const json = await jsonOf(observed, manualClock())
    expect(healthOf(observed)).toEqual(HEALTH)
    expect(json).toEqual({ health: HEALTH, stored: 'stored' })
    expect(statusPage(observed.page(json))).toContain('<li>Disk: full. To do: make room.</li>')
  })

  it.each([
    ['rejects', () => Promise.reject(new Error('away'))],
    ['does not answer within 3 s', () => new Promise<string>(() => {})],
  ])('shows the rest when the database %s', async (_, stored) => {
    const clock = manualClock()
    const json = jsonOf(service(stored), clock)
    await clock.advance(3_000)
    expect(await json).toEqual({ health: HEALTH, stored: null })
  })

  it('is ready when nothing is bad', () => {
    const watches = [{ watch: 'disk', lookedAtMs: null, verdict: 'ok' as const, findings: [ok('disk', 'room')] }]
    const observed = { ...service(async () => ''), status: () => ({ ...STATUS, watches }) }
    expect(healthOf(observed)).toMatchObject({ ready: true, complete: false, warned: ['chain'], bad: [] })
  })
})

describe('the JSON that services share', () => {
  it("names the node without its path and query, and the block's age", () => {
    expect(chainJson(STATUS)).toEqual({ connected: true, node: 'node.example:9944', block: 7, blockSeenSecondsAgo: 2 })
    const chain = { connected: false, endpoint: null, lastBlock: null }
    expect(chainJson({ ...STATUS, chain })).toEqual({
      connected: false,
      node: null,
      block: null,
      blockSeenSecondsAgo: null,
    })
  })

  it('names the start and the time since then', () => {
    expect(processJson(STATUS)).toMatchObject({ startedAt: '1970-01-01T00:00:30.000Z', uptimeSeconds: 60 })
  })
})
