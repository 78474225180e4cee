/** Parses Grafana dashboards, strictly enough to check a file and to run its queries. */
import { z } from 'zod'
import type { Role } from './compose-settings.ts'

const gridPosition = z.strictObject({
  x: z.int().min(0).max(23),
  y: z.int().min(0),
  w: z.int().min(1).max(24),
  h: z.int().min(1),
})

const datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.literal('prometheus') })

const target = z.strictObject({
  refId: z.string().regex(/^[A-Z]$/),
  datasource,
  expr: z.string().min(1),
  legendFormat: z.string(),
})

const row = z.strictObject({
  id: z.int(),
  type: z.literal('row'),
  title: z.string().min(1),
  collapsed: z.literal(false),
  gridPos: gridPosition,
  panels: z.tuple([]),
})

const chart = z.strictObject({
  id: z.int(),
  type: z.enum(['stat', 'timeseries', 'state-timeline']),
  title: z.string().min(1),
  description: z.string().min(1),
  datasource,
  targets: z.array(target).min(1),
  fieldConfig: z.strictObject({
    defaults: z.looseObject({ unit: z.enum(['none', 's', 'bytes', 'percentunit']) }),
    overrides: z.array(z.unknown()),
  }),
  options: z.looseObject({}),
  gridPos: gridPosition,
})

export const dashboard = z.strictObject({
  uid: z.string().regex(/^[a-z-]{1,40}$/),
  title: z.string().min(1),
  tags: z.array(z.string()),
  timezone: z.literal('browser'),
  schemaVersion: z.int().min(36),
  version: z.int(),
  refresh: z.string(),
  time: z.strictObject({ from: z.string(), to: z.string() }),
  editable: z.literal(false),
  annotations: z.strictObject({ list: z.array(z.unknown()) }),
  templating: z.strictObject({ list: z.array(z.unknown()) }),
  panels: z.array(z.union([row, chart])).min(1),
})
export type Dashboard = z.output<typeof dashboard>

/** Queries with one of these may return nothing on a healthy server. */
const MAY_BE_EMPTY = [
  'facilitator',
  'jobs_open',
  'miner_gpus',
  'miner_refusals',
  'miner_offers_declined',
  'miner_manifest_committed',
  'validator_next_batch',
  'validator_last_batch',
]

/** Returns all queries of a dashboard, each with the title of its chart. */
export function queriesOf({ panels }: Dashboard): { title: string; expr: string; mayBeEmpty: boolean }[] {
  return panels.flatMap(panel => {
    if (panel.type === 'row') return []
    return panel.targets.map(({ expr }) => ({
      title: panel.title,
      expr,
      mayBeEmpty: MAY_BE_EMPTY.some(name => expr.includes(name)),
    }))
  })
}

/** Returns the names of the role's metrics in a query. */
export function metricsIn(expr: string, role: Role): string[] {
  return expr.match(new RegExp(`\\b${role}_[a-z0-9_]+`, 'g')) ?? []
}
