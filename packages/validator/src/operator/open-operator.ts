/** Wires what a running validator shows its operator: watches, metrics, and the admin port. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { startLoop } from '@horde/kit/loop'
import { createMetrics } from '@horde/kit/metrics/registry'
import { openAdminPort } from '@horde/operator/admin/admin-port'
import type { ObservedService } from '@horde/operator/admin/observed-service'
import { ServiceMetrics } from '@horde/operator/metrics/service-metrics'
import { Watches } from '@horde/operator/watch/watches'
import type { ValidatorConfig } from '../config.ts'
import { type History, type HistoryJson, openHistory, readHistory } from './history.ts'
import { METRICS } from './metrics/definitions.ts'
import { GAUGES } from './metrics/gauges.ts'
import { JobCounters, StoredFigures } from './metrics/job-counters.ts'
import { validatorPage } from './page/page.ts'
import { lacksOf, readStatus, type StatusDeps, type ValidatorStatus } from './status.ts'
import { statusJson, type ValidatorStatusJson } from './status-json.ts'
import { SubnetView } from './subnet-view.ts'
import { validatorWatches } from './watches/validator-watches.ts'

/** How often the chain is asked about the subnet, and how long it may take to answer, in milliseconds. */
const SUBNET_EVERY_MS = 60_000
const SUBNET_WITHIN_MS = 120_000

export type OperatorDeps = Pick<StatusDeps, 'loops' | 'turn' | 'facilitator' | 'dialects' | 'clock'> & {
  config: ValidatorConfig
  chain: Chain
  hotkey: Hotkey
  db: Database
  log: Log
}

/** Returns the admin port's number; undefined when none is set. Everything closes with `stack`. */
export async function openOperator(
  deps: OperatorDeps,
  signal: AbortSignal,
  stack: AsyncDisposableStack,
): Promise<number | undefined> {
  const { config, chain, db, clock, log } = deps
  const { ADMIN_HOST: host, ADMIN_PORT: port, BITTENSOR_NETUID: netuid, WEIGHTS_COMMIT_BY: commitBy } = config
  const hotkey = deps.hotkey.ss58
  const subnet = new SubnetView({ chain, netuid, hotkey, commitBy, clock })
  const times = { everyMs: SUBNET_EVERY_MS, deadlineMs: SUBNET_WITHIN_MS }
  const subnetLoop = stack.use(
    startLoop({ name: 'subnet', ...times, run: () => subnet.refresh(), ...{ clock, log, signal } }),
  )
  const all = validatorWatches({ config, chain, hotkey, db, subnet: () => subnet.known, clock })
  const watches = stack.use(new Watches(all, { clock, log, signal }))
  if (port === undefined) return undefined
  const registry = createMetrics('validator')
  const counters = new JobCounters(registry, clock)
  const figures = new StoredFigures({ netuid, hotkey, db, counters, clock, log })
  const loops = [...deps.loops, subnetLoop]
  const status = { ...deps, hotkey, startedAtMs: clock.now(), subnet, loops, figures, watches }
  const service = observedValidator(status, openHistory(db, netuid, hotkey))
  const metrics = new ServiceMetrics(registry, {
    ...{ prefix: 'validator', definitions: METRICS, service },
    beforeScrape: () => figures.refresh(),
  })
  return openAdminPort({ host, port, service, metrics, clock, log }, stack)
}

function observedValidator(
  deps: StatusDeps,
  history: History,
): ObservedService<ValidatorStatus, HistoryJson, ValidatorStatusJson> {
  return {
    status: () => readStatus(deps),
    lacks: lacksOf,
    stored: () => readHistory(history),
    json: statusJson,
    page: validatorPage,
    gauges: GAUGES,
  }
}
