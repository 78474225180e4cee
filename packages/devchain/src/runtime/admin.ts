import type { adminUtilsCalls } from '../pallets/admin-utils.ts'
import type { Placed } from '../pallets/storage-entry.ts'
import type { subtensorEvents } from '../pallets/subtensor/events.ts'
import { subtensorStorage as storage } from '../pallets/subtensor/storage.ts'
import { ZERO_ACCOUNT } from '../scale/accounts.ts'
import { type Context, ensureRoot, type Origin } from './context.ts'
import { SUBTENSOR } from './events.ts'
import { badOrigin, ensure, ensureAdmin } from './failure.ts'
import type { Handlers } from './handlers.ts'
import { blocksUntilEpoch } from './subtensor/epoch.ts'

type SubnetEntry<V> = Placed<[number], V, V>
type EventName = keyof typeof subtensorEvents

interface Setting<V> {
  entry: SubnetEntry<V>
  event: EventName
  /** The subnet's owner may set it too; such calls are refused shortly before an epoch, for root as well. */
  owner?: boolean
}

const MAX_REVEAL_PERIOD = 100n

/** No such change in the last AdminFreezeWindow blocks before an epoch. */
function ensureWindowOpen({ store, block }: Context, netuid: number): void {
  const left = blocksUntilEpoch(netuid, store.get(storage.Tempo, netuid), block)
  const window = BigInt(store.get(storage.AdminFreezeWindow))
  ensure(left === null || left >= window, 'AdminActionProhibitedDuringWeightsWindow')
}

function ensureOwnerOrRoot(context: Context, origin: Origin, netuid: number): void {
  if (origin === 'root') return
  const owner = context.store.get(storage.SubnetOwner, netuid)
  if (owner === ZERO_ACCOUNT || owner !== origin.signer) throw badOrigin()
}

function set<V>(context: Context, origin: Origin, netuid: number, value: V, setting: Setting<V>): void {
  if (setting.owner) {
    ensureOwnerOrRoot(context, origin, netuid)
    ensureWindowOpen(context, netuid)
  } else ensureRoot(origin)
  ensureAdmin(context.store.get(storage.NetworksAdded, netuid), 'SubnetDoesNotExist')
  context.store.set(setting.entry, [netuid], value)
  context.emit(SUBTENSOR, setting.event, [netuid, value] as never)
}

export const adminHandlers: Handlers<typeof adminUtilsCalls> = {
  sudo_set_tx_rate_limit: (context, origin, { tx_rate_limit }) => {
    ensureRoot(origin)
    context.store.set(storage.TxRateLimit, [], tx_rate_limit)
    context.emit(SUBTENSOR, 'TxRateLimitSet', [tx_rate_limit])
  },
  sudo_set_serving_rate_limit: (context, origin, { netuid, serving_rate_limit }) =>
    set(context, origin, netuid, serving_rate_limit, {
      entry: storage.ServingRateLimit,
      event: 'ServingRateLimitSet',
      owner: true,
    }),
  sudo_set_weights_version_key: (context, origin, { netuid, weights_version_key }) =>
    set(context, origin, netuid, weights_version_key, {
      entry: storage.WeightsVersionKey,
      event: 'WeightsVersionKeySet',
      owner: true,
    }),
  sudo_set_weights_set_rate_limit: (context, origin, { netuid, weights_set_rate_limit }) =>
    set(context, origin, netuid, weights_set_rate_limit, {
      entry: storage.WeightsSetRateLimit,
      event: 'WeightsSetRateLimitSet',
    }),
  sudo_set_immunity_period: (context, origin, { netuid, immunity_period }) =>
    set(context, origin, netuid, immunity_period, {
      entry: storage.ImmunityPeriod,
      event: 'ImmunityPeriodSet',
      owner: true,
    }),
  sudo_set_min_allowed_weights: (context, origin, { netuid, min_allowed_weights }) =>
    set(context, origin, netuid, min_allowed_weights, {
      entry: storage.MinAllowedWeights,
      event: 'MinAllowedWeightSet',
      owner: true,
    }),
  sudo_set_max_allowed_uids: (context, origin, { netuid, max_allowed_uids }) => {
    const count = context.store.get(storage.SubnetworkN, netuid)
    ensureAdmin(count <= max_allowed_uids, 'MaxAllowedUIdsLessThanCurrentUIds')
    set(context, origin, netuid, max_allowed_uids, {
      entry: storage.MaxAllowedUids,
      event: 'MaxAllowedUidsSet',
      owner: true,
    })
  },
  sudo_set_activity_cutoff: (context, origin, { netuid, activity_cutoff }) =>
    set(context, origin, netuid, activity_cutoff, {
      entry: storage.ActivityCutoff,
      event: 'ActivityCutoffSet',
      owner: true,
    }),
  sudo_set_network_registration_allowed: (context, origin, { netuid, registration_allowed }) =>
    set(context, origin, netuid, registration_allowed, {
      entry: storage.NetworkRegistrationAllowed,
      event: 'RegistrationAllowed',
    }),
  sudo_set_target_registrations_per_interval: (context, origin, { netuid, target_registrations_per_interval }) =>
    set(context, origin, netuid, target_registrations_per_interval, {
      entry: storage.TargetRegistrationsPerInterval,
      event: 'RegistrationPerIntervalSet',
    }),
  sudo_set_min_burn: (context, origin, { netuid, min_burn }) => {
    set(context, origin, netuid, min_burn, { entry: storage.MinBurn, event: 'MinBurnSet', owner: true })
    if (context.store.get(storage.Burn, netuid) < min_burn) context.store.set(storage.Burn, [netuid], min_burn)
  },
  sudo_set_max_allowed_validators: (context, origin, { netuid, max_allowed_validators }) =>
    set(context, origin, netuid, max_allowed_validators, {
      entry: storage.MaxAllowedValidators,
      event: 'MaxAllowedValidatorsSet',
    }),
  sudo_set_max_registrations_per_block: (context, origin, { netuid, max_registrations_per_block }) =>
    set(context, origin, netuid, max_registrations_per_block, {
      entry: storage.MaxRegistrationsPerBlock,
      event: 'MaxRegistrationsPerBlockSet',
    }),
  sudo_set_network_rate_limit: (context, origin, { rate_limit }) => {
    ensureRoot(origin)
    context.store.set(storage.NetworkRateLimit, [], rate_limit)
    context.emit(SUBTENSOR, 'NetworkRateLimitSet', [rate_limit])
  },
  sudo_set_tempo: (context, origin, { netuid, tempo }) => {
    ensureRoot(origin)
    ensureWindowOpen(context, netuid)
    set(context, origin, netuid, tempo, { entry: storage.Tempo, event: 'TempoSet' })
  },
  sudo_set_stake_threshold: (context, origin, { min_stake }) => {
    ensureRoot(origin)
    context.store.set(storage.StakeThreshold, [], min_stake)
    context.emit(SUBTENSOR, 'StakeThresholdSet', [min_stake])
  },
  sudo_set_commit_reveal_weights_enabled: (context, origin, { netuid, enabled }) =>
    set(context, origin, netuid, enabled, {
      entry: storage.CommitRevealWeightsEnabled,
      event: 'CommitRevealEnabled',
      owner: true,
    }),
  sudo_set_commit_reveal_weights_interval: (context, origin, { netuid, interval }) => {
    ensure(interval <= MAX_REVEAL_PERIOD, 'RevealPeriodTooLarge')
    ensure(interval >= 1n, 'RevealPeriodTooSmall')
    set(context, origin, netuid, interval, {
      entry: storage.RevealPeriodEpochs,
      event: 'CommitRevealPeriodsSet',
      owner: true,
    })
  },
  sudo_set_subtoken_enabled: (context, origin, { netuid, subtoken_enabled }) =>
    set(context, origin, netuid, subtoken_enabled, { entry: storage.SubtokenEnabled, event: 'SubtokenEnabledSet' }),
  sudo_set_commit_reveal_version: (context, origin, { version }) => {
    ensureRoot(origin)
    context.store.set(storage.CommitRevealWeightsVersion, [], version)
    context.emit(SUBTENSOR, 'CommitRevealVersionSet', [version])
  },
  sudo_set_admin_freeze_window: (context, origin, { window }) => {
    ensureRoot(origin)
    context.store.set(storage.AdminFreezeWindow, [], window)
    context.emit(SUBTENSOR, 'AdminFreezeWindowSet', [window])
  },
}
