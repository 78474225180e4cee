import { accountId, hash } from '../../scale/accounts.ts'
import { vec } from '../../scale/composites.ts'
import { bool, compactU16, u16, u64 } from '../../scale/primitives.ts'
import { empty, fieldsOf } from '../../scale/variants.ts'
import { dispatchError } from '../../table/dispatch-error.ts'

const perSubnetU16 = fieldsOf(u16, u16)
const perSubnetU64 = fieldsOf(u16, u64)
const perSubnetBool = fieldsOf(u16, bool)
const served = fieldsOf(u16, accountId)
const committed = fieldsOf(accountId, u16, hash)
/** coldkey, hotkey, tao, alpha, netuid, fee. */
const staked = fieldsOf(accountId, accountId, u64, u64, u16, u64)

export const subtensorEvents = {
  NetworkAdded: perSubnetU16,
  NetworkRemoved: fieldsOf(u16),
  StakeAdded: staked,
  StakeRemoved: staked,
  WeightsSet: perSubnetU16,
  NeuronRegistered: fieldsOf(u16, u16, accountId),
  MaxAllowedUidsSet: perSubnetU16,
  MaxRegistrationsPerBlockSet: perSubnetU16,
  ActivityCutoffSet: perSubnetU16,
  RegistrationPerIntervalSet: perSubnetU16,
  MinAllowedWeightSet: perSubnetU16,
  WeightsSetRateLimitSet: perSubnetU64,
  ImmunityPeriodSet: perSubnetU16,
  MaxAllowedValidatorsSet: perSubnetU16,
  AxonServed: served,
  PrometheusServed: served,
  WeightsVersionKeySet: perSubnetU64,
  ServingRateLimitSet: perSubnetU64,
  MinBurnSet: perSubnetU64,
  TxRateLimitSet: fieldsOf(u64),
  AdminFreezeWindowSet: fieldsOf(u16),
  RegistrationAllowed: perSubnetBool,
  TempoSet: perSubnetU16,
  StakeThresholdSet: fieldsOf(u64),
  NetworkRateLimitSet: fieldsOf(u64),
  WeightsCommitted: committed,
  WeightsRevealed: committed,
  /** hotkey, index, hash of the commit, round. */
  TimelockedWeightsCommitted: fieldsOf(accountId, u16, hash, u64),
  TimelockedWeightsRevealed: fieldsOf(u16, accountId),
  WeightsBatchRevealed: fieldsOf(accountId, u16, vec(hash)),
  BatchWeightsCompleted: fieldsOf(vec(compactU16), accountId),
  BatchCompletedWithErrors: empty,
  BatchWeightItemFailed: fieldsOf(u16, dispatchError),
  FirstEmissionBlockNumberSet: perSubnetU64,
  CommitRevealPeriodsSet: perSubnetU64,
  CommitRevealEnabled: perSubnetBool,
  CommitRevealVersionSet: fieldsOf(u16),
  SubtokenEnabledSet: perSubnetBool,
}
