import { bad, ok } from '@horde/kit/check/finding'
import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import type { ServiceStatus } from '../admin/observed-service.ts'
import { commonMetrics } from './common-metrics.ts'
import { ServiceMetrics } from './service-metrics.ts'

const STATUS: ServiceStatus = {
  ...{ nowMs: 90_500, startedAtMs: 30_000, hotkey: '5Own', netuid: 1, uid: undefined },
  chain: { connected: true, endpoint: 'ws://node', lastBlock: { number: 7, seenAtMs: 88_000 } },
  watches: [
    { watch: 'clock', lookedAtMs: 80_500, verdict: 'ok', findings: [{ ...ok('clock', 'fine'), measured: -1.5 }] },
    {
      ...{ watch: 'disk', lookedAtMs: null, verdict: 'bad' },
      findings: [{ ...bad('disk', 'full', ''), measured: 9, of: 'database' }],
    },
  ],
}

/** Returns the samples of one scrape, by name and labels. */
async function scrape(metrics: ServiceMetrics<ServiceStatus>): Promise<Record<string, number>> {
  const lines = (await metrics.metrics()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}

function metricsOf(status: () => ServiceStatus, beforeScrape?: () => Promise<void>) {
  return new ServiceMetrics(new Registry(), {
    prefix: 'test',
    definitions: { ...commonMetrics('test'), test_own: { type: 'gauge', labels: [], help: 'Own.' } },
    service: {
      status,
      lacks: () => ({ bad: [], warned: [] }),
      gauges: { test_own: ({ nowMs }) => [[{}, nowMs]] },
    },
    ...(beforeScrape && { beforeScrape }),
  })
}

it('reads every gauge from the status, and leaves out what is not known', async () => {
  expect(await scrape(metricsOf(() => STATUS))).toEqual({
    test_own: 90_500,
    test_chain_connected: 1,
    test_chain_block: 7,
    test_chain_block_age_seconds: 2.5,
    test_clock_offset_seconds: -1.5,
    'test_disk_free_bytes{disk="database"}': 9,
    'test_watch_verdict{watch="clock"}': 0,
    'test_watch_verdict{watch="disk"}': 2,
    'test_watch_age_seconds{watch="clock"}': 10,
    test_ready: 0,
  })
})

it.each([
  [3, 1],
  [null, 0],
])('shows the registration of a hotkey with uid %j as %d', async (uid, registered) => {
  expect(await scrape(metricsOf(() => ({ ...STATUS, uid })))).toMatchObject({ test_registered: registered })
})

it('takes one status for each scrape, after what runs before it', async () => {
  const calls: string[] = []
  const metrics = metricsOf(
    () => {
      calls.push('status')
      return { ...STATUS, nowMs: calls.length }
    },
    async () => void calls.push('before'),
  )
  expect(await scrape(metrics)).toMatchObject({ test_own: 2 })
  expect(await scrape(metrics)).toMatchObject({ test_own: 4 })
  expect(calls).toEqual(['before', 'status', 'before', 'status'])
})
