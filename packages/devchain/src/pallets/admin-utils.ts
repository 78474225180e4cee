import { bool, u16, u64 } from '../scale/primitives.ts'
import { call, type Pallet } from '../table/pallet.ts'

/**
 * Root's setters, called through `sudo.sudo`. The first argument is the netuid, except for values of the whole chain.
 */
export const adminUtilsCalls = {
  sudo_set_tx_rate_limit: call(2, { tx_rate_limit: u64 }),
  sudo_set_serving_rate_limit: call(3, { netuid: u16, serving_rate_limit: u64 }),
  sudo_set_weights_version_key: call(6, { netuid: u16, weights_version_key: u64 }),
  sudo_set_weights_set_rate_limit: call(7, { netuid: u16, weights_set_rate_limit: u64 }),
  sudo_set_immunity_period: call(13, { netuid: u16, immunity_period: u16 }),
  sudo_set_min_allowed_weights: call(14, { netuid: u16, min_allowed_weights: u16 }),
  sudo_set_max_allowed_uids: call(15, { netuid: u16, max_allowed_uids: u16 }),
  sudo_set_activity_cutoff: call(18, { netuid: u16, activity_cutoff: u16 }),
  sudo_set_network_registration_allowed: call(19, { netuid: u16, registration_allowed: bool }),
  sudo_set_target_registrations_per_interval: call(21, { netuid: u16, target_registrations_per_interval: u16 }),
  sudo_set_min_burn: call(22, { netuid: u16, min_burn: u64 }),
  sudo_set_max_allowed_validators: call(25, { netuid: u16, max_allowed_validators: u16 }),
  sudo_set_max_registrations_per_block: call(27, { netuid: u16, max_registrations_per_block: u16 }),
  sudo_set_network_rate_limit: call(29, { rate_limit: u64 }),
  sudo_set_tempo: call(30, { netuid: u16, tempo: u16 }),
  sudo_set_stake_threshold: call(42, { min_stake: u64 }),
  sudo_set_commit_reveal_weights_enabled: call(49, { netuid: u16, enabled: bool }),
  sudo_set_commit_reveal_weights_interval: call(57, { netuid: u16, interval: u64 }),
  sudo_set_subtoken_enabled: call(66, { netuid: u16, subtoken_enabled: bool }),
  sudo_set_commit_reveal_version: call(71, { version: u16 }),
  sudo_set_admin_freeze_window: call(74, { window: u16 }),
}

export const adminUtils: Pallet = {
  name: 'AdminUtils',
  index: 19,
  calls: adminUtilsCalls,
  errors: [
    'SubnetDoesNotExist',
    'MaxValidatorsLargerThanMaxUIds',
    'MaxAllowedUIdsLessThanCurrentUIds',
    'ValueNotInBounds',
    'NegativeSigmoidSteepness',
  ],
}
