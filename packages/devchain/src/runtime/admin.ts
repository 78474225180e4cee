import type { adminUtilsCalls } from '../pallets/admin-utils.ts'
import type { subtensorEvents } from '../pallets/subtensor/events.ts'
import { subtensorStorage as storage } from '../pallets/subtensor/storage.ts'
import { ZERO_ACCOUNT } from '../scale/accounts.ts'
import type { Placed } from '../table/storage-entry.ts'
import { type Context, ensureRoot, type Origin } from './context.ts'
import { SUBTENSOR } from './events.ts'
import { badOrigin, ensure, ensureAdmin } from './failure.ts'
import type { Handlers } from './handlers.ts'
import { blocksUntilEpoch } from './subtensor/epoch.ts'

type EventName = keyof typeof subtensorEvents
type PerSubnet<V> = Placed<[number], V, V>
type PerChain<V> = Placed<[], V, V>

/** The longest reveal period, in epochs. */
const MAX_REVEAL_PERIOD = 100n

/** Refuses changes in the last AdminFreezeWindow blocks before an epoch, also by root. */
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

type Setter<N extends string, V> = (context: Context, origin: Origin, args: { netuid: number } & Record<N, V>) => void

function write<V>(context: Context, netuid: number, value: V, entry: PerSubnet<V>, event: EventName): void {
  ensureAdmin(context.store.get(storage.NetworksAdded, netuid), 'SubnetDoesNotExist')
  context.store.set(entry, [netuid], value)
  context.emit(SUBTENSOR, event, [netuid, value] as never)
}

/** A setter for root only. */
function byRoot<N extends string, V>(name: N, entry: PerSubnet<V>, event: EventName): Setter<N, V> {
  return (context, origin, args) => {
    ensureRoot(origin)
    write(context, args.netuid, args[name] as V, entry, event)
  }
}

/** A setter for root and the subnet's owner, refused shortly before an epoch. */
function byOwner<N extends string, V>(name: N, entry: PerSubnet<V>, event: EventName): Setter<N, V> {
  return (context, origin, args) => {
    ensureOwnerOrRoot(context, origin, args.netuid)
    ensureWindowOpen(context, args.netuid)
    write(context, args.netuid, args[name] as V, entry, event)
  }
}

/** A setter of one value for the whole chain. */
function chainWide<N extends string, V>(name: N, entry: PerChain<V>, event: EventName) {
  return (context: Context, origin: Origin, args: Record<N, V>): void => {
    ensureRoot(origin)
    context.store.set(entry, [], args[name])
    context.emit(SUBTENSOR, event, [args[name]] as never)
  }
}

/** Adds a check before a setter. */
function after<A>(
  check: (context: Context, args: A, origin: Origin) => void,
  set: (c: Context, o: Origin, a: A) => void,
) {
  return (context: Context, origin: Origin, args: A): void => {
    check(context, args, origin)
    set(context, origin, args)
  }
}

const setMinBurn = byOwner('min_burn', storage.MinBurn, 'MinBurnSet')

export const adminHandlers: Handlers<typeof adminUtilsCalls> = {
  sudo_set_tx_rate_limit: chainWide('tx_rate_limit', storage.TxRateLimit, 'TxRateLimitSet'),
  sudo_set_serving_rate_limit: byOwner('serving_rate_limit', storage.ServingRateLimit, 'ServingRateLimitSet'),
  sudo_set_weights_version_key: byOwner('weights_version_key', storage.WeightsVersionKey, 'WeightsVersionKeySet'),
  sudo_set_weights_set_rate_limit: byRoot(
    'weights_set_rate_limit',
    storage.WeightsSetRateLimit,
    'WeightsSetRateLimitSet',
  ),
  sudo_set_immunity_period: byOwner('immunity_period', storage.ImmunityPeriod, 'ImmunityPeriodSet'),
  sudo_set_min_allowed_weights: byOwner('min_allowed_weights', storage.MinAllowedWeights, 'MinAllowedWeightSet'),
  sudo_set_max_allowed_uids: after(
    ({ store }, { netuid, max_allowed_uids }) =>
      ensureAdmin(store.get(storage.SubnetworkN, netuid) <= max_allowed_uids, 'MaxAllowedUIdsLessThanCurrentUIds'),
    byOwner('max_allowed_uids', storage.MaxAllowedUids, 'MaxAllowedUidsSet'),
  ),
  sudo_set_activity_cutoff: byOwner('activity_cutoff', storage.ActivityCutoff, 'ActivityCutoffSet'),
  sudo_set_network_registration_allowed: byRoot(
    'registration_allowed',
    storage.NetworkRegistrationAllowed,
    'RegistrationAllowed',
  ),
  sudo_set_target_registrations_per_interval: byRoot(
    'target_registrations_per_interval',
    storage.TargetRegistrationsPerInterval,
    'RegistrationPerIntervalSet',
  ),
  sudo_set_min_burn: (context, origin, args) => {
    setMinBurn(context, origin, args)
    const { netuid, min_burn } = args
    if (context.store.get(storage.Burn, netuid) < min_burn) context.store.set(storage.Burn, [netuid], min_burn)
  },
  sudo_set_max_allowed_validators: byRoot(
    'max_allowed_validators',
    storage.MaxAllowedValidators,
    'MaxAllowedValidatorsSet',
  ),
  sudo_set_max_registrations_per_block: byRoot(
    'max_registrations_per_block',
    storage.MaxRegistrationsPerBlock,
    'MaxRegistrationsPerBlockSet',
  ),
  sudo_set_network_rate_limit: chainWide('rate_limit', storage.NetworkRateLimit, 'NetworkRateLimitSet'),
  sudo_set_tempo: after(
    (context, { netuid }, origin) => {
      ensureRoot(origin)
      ensureWindowOpen(context, netuid)
    },
    byRoot('tempo', storage.Tempo, 'TempoSet'),
  ),
  sudo_set_stake_threshold: chainWide('min_stake', storage.StakeThreshold, 'StakeThresholdSet'),
  sudo_set_commit_reveal_weights_enabled: byOwner('enabled', storage.CommitRevealWeightsEnabled, 'CommitRevealEnabled'),
  sudo_set_commit_reveal_weights_interval: after(
    (_context, { interval }) => {
      ensure(interval <= MAX_REVEAL_PERIOD, 'RevealPeriodTooLarge')
      ensure(interval >= 1n, 'RevealPeriodTooSmall')
    },
    byOwner('interval', storage.RevealPeriodEpochs, 'CommitRevealPeriodsSet'),
  ),
  sudo_set_subtoken_enabled: byRoot('subtoken_enabled', storage.SubtokenEnabled, 'SubtokenEnabledSet'),
  sudo_set_commit_reveal_version: chainWide('version', storage.CommitRevealWeightsVersion, 'CommitRevealVersionSet'),
  sudo_set_admin_freeze_window: chainWide('window', storage.AdminFreezeWindow, 'AdminFreezeWindowSet'),
}
