import { accountId, hash, ZERO_ACCOUNT } from '../../scale/accounts.ts'
import { bytes, struct, tuple, vec } from '../../scale/composites.ts'
import { bool, i64, u8, u16, u32, u64, u128 } from '../../scale/primitives.ts'
import type { Type, ValueOf } from '../../scale/type.ts'
import { blake2, identity, map, optionalMap, place, twox, value } from '../../table/storage-entry.ts'

export const axonInfo = struct('pallet_subtensor::pallet::AxonInfo', {
  block: u64,
  version: u32,
  ip: u128,
  port: u16,
  ip_type: u8,
  protocol: u8,
  placeholder1: u8,
  placeholder2: u8,
})
export type AxonInfo = ValueOf<typeof axonInfo>

export const prometheusInfo = struct('pallet_subtensor::pallet::PrometheusInfo', {
  block: u64,
  version: u32,
  ip: u128,
  port: u16,
  ip_type: u8,
})

const neuronCertificate = struct('pallet_subtensor::pallet::NeuronCertificate', { public_key: bytes, algorithm: u8 })

/** mantissa · 10^exponent: the shares of a hotkey's stake that a coldkey holds. */
export const safeFloat = struct('share_pool::SafeFloat', { mantissa: u128, exponent: i64 })

/** (hash, epoch of the commit, block of the commit, 0). */
const weightCommit = tuple(hash, u64, u64, u64)
/** hotkey, block of the commit, ciphertext, round that opens it. */
const sealedCommit = tuple(accountId, u64, bytes, u64)
const weightRow = vec(tuple(u16, u16))

const TAO = 1_000_000_000n
/** U+1D70F, mathematical italic small tau. */
const TAO_SYMBOL = new TextEncoder().encode('\u{1d70f}')
const perSubnet = <T>(type: Type<T>, fallback: T) => map([identity(u16)], type, fallback)
const perNeuron = <T>(type: Type<T>, fallback: T) => map([identity(u16), identity(u16)], type, fallback)
const perHotkey = <T>(type: Type<T>) => optionalMap([identity(u16), blake2(accountId)], type)

const networks = {
  TotalNetworks: value(u16, 0),
  NetworksAdded: perSubnet(bool, false),
  SubnetworkN: perSubnet(u16, 0),
  NetworkRegisteredAt: perSubnet(u64, 0n),
  NetworkRateLimit: value(u64, 7200n),
  NetworkMinLockCost: value(u64, 1000n * TAO),
  NetworkLastLockCost: value(u64, 1000n * TAO),
  NetworkLockReductionInterval: value(u64, 100_800n),
  NetworkLastRegistered: value(u64, 0n),
  SubnetOwner: perSubnet(accountId, ZERO_ACCOUNT),
  SubnetOwnerHotkey: perSubnet(accountId, ZERO_ACCOUNT),
  SubtokenEnabled: perSubnet(bool, false),
  SubnetTAO: perSubnet(u64, 0n),
  SubnetAlphaIn: perSubnet(u64, 0n),
  SubnetAlphaOut: perSubnet(u64, 0n),
  MechanismCountCurrent: map([twox(u16)], u8, 1),
  /** The part of a registration's price that is locked instead of burned, in 65535ths. Always 0 here. */
  CollateralLockShare: perSubnet(u16, 0),
  /** The symbol of the subnet's currency in UTF-8. Some clients read all symbols before anything else. */
  TokenSymbol: perSubnet(bytes, TAO_SYMBOL),
}

const neurons = {
  Keys: perNeuron(accountId, ZERO_ACCOUNT),
  Uids: perHotkey(u16),
  IsNetworkMember: map([blake2(accountId), identity(u16)], bool, false),
  Axons: perHotkey(axonInfo),
  Prometheus: perHotkey(prometheusInfo),
  NeuronCertificates: perHotkey(neuronCertificate),
  BlockAtRegistration: perNeuron(u64, 0n),
  ValidatorPermit: perSubnet(vec(bool), []),
  Active: perSubnet(vec(bool), []),
  ValidatorTrust: perSubnet(vec(u16), []),
  Dividends: perSubnet(vec(u16), []),
  Consensus: perSubnet(vec(u16), []),
  Incentive: perSubnet(vec(u16), []),
  LastUpdate: perSubnet(vec(u64), []),
  Emission: perSubnet(vec(u64), []),
  Weights: perNeuron(weightRow, []),
  Bonds: perNeuron(weightRow, []),
}

const stake = {
  Owner: map([blake2(accountId)], accountId, ZERO_ACCOUNT),
  OwnedHotkeys: map([blake2(accountId)], vec(accountId), []),
  TotalHotkeyAlpha: map([blake2(accountId), identity(u16)], u64, 0n),
  TotalHotkeySharesV2: map([blake2(accountId), identity(u16)], safeFloat, { mantissa: 0n, exponent: 0n }),
  AlphaV2: map([blake2(accountId), blake2(accountId), identity(u16)], safeFloat, { mantissa: 0n, exponent: 0n }),
  TotalStake: value(u64, 0n),
  StakeThreshold: value(u64, 0n),
}

const epochs = {
  Tempo: perSubnet(u16, 360),
  LastEpochBlock: perSubnet(u64, 0n),
  SubnetEpochIndex: perSubnet(u64, 0n),
  PendingEpochAt: perSubnet(u64, 0n),
  BlocksSinceLastStep: perSubnet(u64, 0n),
  // The chain has this misspelling.
  LastMechansimStepBlock: perSubnet(u64, 0n),
  AdminFreezeWindow: value(u16, 10),
}

/** Hyperparameters of a subnet. A genesis file uses the same names. */
export const hyperparameters = {
  WeightsVersionKey: perSubnet(u64, 0n),
  WeightsSetRateLimit: perSubnet(u64, 100n),
  MinAllowedWeights: perSubnet(u16, 1024),
  MaxWeightsLimit: perSubnet(u16, 65_535),
  CommitRevealWeightsEnabled: perSubnet(bool, true),
  RevealPeriodEpochs: map([twox(u16)], u64, 1n),
  ServingRateLimit: perSubnet(u64, 50n),
  MaxAllowedUids: perSubnet(u16, 256),
  MaxAllowedValidators: perSubnet(u16, 64),
  ImmunityPeriod: perSubnet(u16, 4096),
  ActivityCutoff: perSubnet(u16, 5000),
  ActivityCutoffFactorMilli: perSubnet(u32, 13_889),
  Kappa: perSubnet(u16, 32_767),
  Rho: perSubnet(u16, 10),
  Burn: perSubnet(u64, TAO),
  MinBurn: perSubnet(u64, TAO / 10n),
  MaxBurn: perSubnet(u64, 100n * TAO),
  NetworkRegistrationAllowed: perSubnet(bool, false),
  MaxRegistrationsPerBlock: perSubnet(u16, 1),
  TargetRegistrationsPerInterval: perSubnet(u16, 1),
}

const limits = { TxRateLimit: value(u64, 1000n) }

const commits = {
  CommitRevealWeightsVersion: value(u16, 4),
  WeightCommits: optionalMap([twox(u16), twox(accountId)], vec(weightCommit)),
  /** By the epoch in which they were made. */
  TimelockedWeightCommits: map([twox(u16), twox(u64)], vec(sealedCommit), []),
}

export const subtensorStorage = place('SubtensorModule', {
  ...networks,
  ...neurons,
  ...stake,
  ...epochs,
  ...hyperparameters,
  ...limits,
  ...commits,
})
