import { readFile } from 'node:fs/promises'
import { METRICS as minerMetrics } from '@horde/miner/operator/metrics/definitions'
import { METRICS as validatorMetrics } from '@horde/validator/operator/metrics/definitions'
import { describe, expect, it } from 'vitest'
import { type Dashboard, dashboard, metricsIn, queriesOf } from '../../src/dashboard.ts'

/** Metrics that the Prometheus library adds about the process. */
const PROCESS_METRICS = /^(miner|validator)_(process|nodejs)_/

/** Reads and validates a role's dashboard. */
async function read(role: string): Promise<Dashboard> {
  const url = new URL(`../../../../docker/monitoring/dashboards/${role}.json`, import.meta.url)
  return dashboard.parse(JSON.parse(await readFile(url, 'utf8')))
}

describe.each([
  ['validator', validatorMetrics],
  ['miner', minerMetrics],
] as const)('the dashboard of a %s', (role, metrics) => {
  it('queries every metric of the role, and no other', async () => {
    const queried = queriesOf(await read(role)).flatMap(({ expr }) => metricsIn(expr, role))
    const own = queried.filter(name => !PROCESS_METRICS.test(name)).map(name => name.replace(/_bucket$/, ''))
    const unqueried = Object.keys(metrics).filter(name => !own.includes(name))
    expect(own.filter(name => !Object.hasOwn(metrics, name))).toEqual([])
    expect(unqueried).toEqual(NOT_SHOWN[role])
  })

  it('has charts that do not overlap, each with an id of its own', async () => {
    const { panels } = await read(role)
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true)
  })
})

/** Metrics without a chart: alerts use them. */
const NOT_SHOWN = {
  validator: ['validator_subnet_age_seconds', 'validator_watch_age_seconds'],
  miner: ['miner_chain_block', 'miner_watch_age_seconds'],
}
