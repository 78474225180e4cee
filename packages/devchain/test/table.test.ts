import { hexToU8a } from '@polkadot/util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Net, startNet } from './client.ts'

/** The later era's runtime, written from its description and compared with the metadata that clients get. */

const ZERO = '5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM'
const AXON =
  '{"block":"u64","version":"u32","ip":"u128","port":"u16","ip_type":"u8","protocol":"u8",' +
  '"placeholder1":"u8","placeholder2":"u8"}'
const PROMETHEUS = '{"block":"u64","version":"u32","ip":"u128","port":"u16","ip_type":"u8"}'
const CERTIFICATE = '{"public_key":"Bytes","algorithm":"u8"}'

/** Name, keys (I identity, B blake2-128-concat, T twox64-concat), value, and default. */
const STORAGE: [string, string, string, unknown][] = [
  ['NetworksAdded', 'I u16', 'bool', false],
  ['SubnetworkN', 'I u16', 'u16', 0],
  ['CollateralLockShare', 'I u16', 'u16', 0],
  ['TokenSymbol', 'I u16', 'Bytes', '0xf09d9c8f'],
  ['Keys', 'I u16, I u16', 'AccountId32', ZERO],
  ['Uids', 'I u16, B AccountId32', 'u16', undefined],
  ['Axons', 'I u16, B AccountId32', AXON, undefined],
  ['Prometheus', 'I u16, B AccountId32', PROMETHEUS, undefined],
  ['NeuronCertificates', 'I u16, B AccountId32', CERTIFICATE, undefined],
  ['ValidatorPermit', 'I u16', 'Vec<bool>', []],
  ['Active', 'I u16', 'Vec<bool>', []],
  ['ValidatorTrust', 'I u16', 'Vec<u16>', []],
  ['Dividends', 'I u16', 'Vec<u16>', []],
  ['Consensus', 'I u16', 'Vec<u16>', []],
  ['Incentive', 'I u16', 'Vec<u16>', []],
  ['LastUpdate', 'I u16', 'Vec<u64>', []],
  ['Emission', 'I u16', 'Vec<u64>', []],
  ['Weights', 'I u16, I u16', 'Vec<(u16,u16)>', []],
  ['Bonds', 'I u16, I u16', 'Vec<(u16,u16)>', []],
  ['BlockAtRegistration', 'I u16, I u16', 'u64', 0],
  ['Owner', 'B AccountId32', 'AccountId32', ZERO],
  ['TotalHotkeyAlpha', 'B AccountId32, I u16', 'u64', 0],
  ['Tempo', 'I u16', 'u16', 360],
  ['LastEpochBlock', 'I u16', 'u64', 0],
  ['SubnetEpochIndex', 'I u16', 'u64', 0],
  ['PendingEpochAt', 'I u16', 'u64', 0],
  ['BlocksSinceLastStep', 'I u16', 'u64', 0],
  ['LastMechansimStepBlock', 'I u16', 'u64', 0],
  ['WeightsVersionKey', 'I u16', 'u64', 0],
  ['WeightsSetRateLimit', 'I u16', 'u64', 100],
  ['MinAllowedWeights', 'I u16', 'u16', 1024],
  ['MaxWeightsLimit', 'I u16', 'u16', 65_535],
  ['CommitRevealWeightsEnabled', 'I u16', 'bool', true],
  ['CommitRevealWeightsVersion', '', 'u16', 4],
  ['RevealPeriodEpochs', 'T u16', 'u64', 1],
  ['WeightCommits', 'T u16, T AccountId32', 'Vec<(H256,u64,u64,u64)>', undefined],
  ['ServingRateLimit', 'I u16', 'u64', 50],
  ['MaxAllowedUids', 'I u16', 'u16', 256],
  ['MaxAllowedValidators', 'I u16', 'u16', 64],
  ['ImmunityPeriod', 'I u16', 'u16', 4096],
  ['ActivityCutoff', 'I u16', 'u16', 5000],
  ['ActivityCutoffFactorMilli', 'I u16', 'u32', 13_889],
  ['Kappa', 'I u16', 'u16', 32_767],
  ['Rho', 'I u16', 'u16', 10],
  ['StakeThreshold', '', 'u64', 0],
  ['SubnetOwner', 'I u16', 'AccountId32', ZERO],
  ['SubnetOwnerHotkey', 'I u16', 'AccountId32', ZERO],
  ['SubtokenEnabled', 'I u16', 'bool', false],
  ['SubnetTAO', 'I u16', 'u64', 0],
  ['SubnetAlphaIn', 'I u16', 'u64', 0],
  ['SubnetAlphaOut', 'I u16', 'u64', 0],
  ['Burn', 'I u16', 'u64', 1_000_000_000],
  ['MinBurn', 'I u16', 'u64', 100_000_000],
  ['MechanismCountCurrent', 'T u16', 'u8', 1],
  ['AdminFreezeWindow', '', 'u16', 10],
]

const ROW = 'dests Vec<u16>, weights Vec<u16>, version_key u64'
const REVEAL = 'uids Vec<u16>, values Vec<u16>, salt Vec<u16>, version_key u64'
const ENDPOINT = 'netuid u16, version u32, ip u128, port u16, ip_type u8'
const SERVED = `${ENDPOINT}, protocol u8, placeholder1 u8, placeholder2 u8`

const CALLS: [string, number, string][] = [
  ['set_weights', 0, `netuid u16, ${ROW}`],
  ['add_stake', 2, 'hotkey AccountId32, netuid u16, amount_staked u64'],
  ['serve_axon', 4, SERVED],
  ['serve_prometheus', 5, ENDPOINT],
  ['register', 6, 'netuid u16, block_number u64, nonce u64, work Bytes, hotkey AccountId32, coldkey AccountId32'],
  ['burned_register', 7, 'netuid u16, hotkey AccountId32'],
  ['serve_axon_tls', 40, `${SERVED}, certificate Bytes`],
  ['register_network', 59, 'hotkey AccountId32'],
  [
    'batch_set_weights',
    80,
    'netuids Vec<Compact<u16>>, weights Vec<Vec<(Compact<u16>,Compact<u16>)>>, version_keys Vec<Compact<u64>>',
  ],
  ['start_call', 92, 'netuid u16'],
  ['commit_weights', 96, 'netuid u16, commit_hash H256'],
  ['reveal_weights', 97, `netuid u16, ${REVEAL}`],
  [
    'batch_reveal_weights',
    98,
    'netuid u16, uids_list Vec<Vec<u16>>, values_list Vec<Vec<u16>>, salts_list Vec<Vec<u16>>, version_keys Vec<u64>',
  ],
  ['batch_commit_weights', 100, 'netuids Vec<Compact<u16>>, commit_hashes Vec<H256>'],
  ['commit_mechanism_weights', 115, 'netuid u16, mecid u8, commit_hash H256'],
  ['reveal_mechanism_weights', 116, `netuid u16, mecid u8, ${REVEAL}`],
  ['set_mechanism_weights', 119, `netuid u16, mecid u8, ${ROW}`],
  ['register_limit', 134, 'netuid u16, hotkey AccountId32, limit_price u64'],
]

/** Setters whose first argument is not the netuid. */
const CHAIN_WIDE = [
  'tx_rate_limit',
  'network_rate_limit',
  'stake_threshold',
  'commit_reveal_version',
  'admin_freeze_window',
]
const SETTERS: [string, number][] = [
  ['tx_rate_limit', 2],
  ['serving_rate_limit', 3],
  ['weights_version_key', 6],
  ['weights_set_rate_limit', 7],
  ['immunity_period', 13],
  ['min_allowed_weights', 14],
  ['max_allowed_uids', 15],
  ['activity_cutoff', 18],
  ['network_registration_allowed', 19],
  ['target_registrations_per_interval', 21],
  ['min_burn', 22],
  ['max_allowed_validators', 25],
  ['max_registrations_per_block', 27],
  ['network_rate_limit', 29],
  ['tempo', 30],
  ['stake_threshold', 42],
  ['commit_reveal_weights_enabled', 49],
  ['commit_reveal_weights_interval', 57],
  ['subtoken_enabled', 66],
  ['commit_reveal_version', 71],
  ['admin_freeze_window', 74],
]

/** Errors of set_weights, serving, registering or commit-reveal, by their later names. */
const ERRORS = [
  ...['CommitRevealEnabled', 'CanNotSetRootNetworkWeights', 'WeightVecNotEqualSize', 'SubnetNotExists'],
  ...['MechanismDoesNotExist', 'UidsLengthExceedUidsInSubNet', 'HotKeyNotRegisteredInSubNet'],
  ...['NotEnoughStakeToSetWeights', 'IncorrectWeightVersionKey', 'SettingWeightsTooFast', 'NeuronNoValidatorPermit'],
  ...['DuplicateUids', 'UidVecContainInvalidOne', 'WeightVecLengthIsLow', 'MaxWeightExceeded'],
  ...['HotKeyNotRegisteredInNetwork', 'InvalidIpType', 'InvalidIpAddress', 'ServingRateLimitExceeded', 'InvalidPort'],
  ...['RegistrationNotPermittedOnRootSubnet', 'SubNetRegistrationDisabled', 'HotKeyAlreadyRegisteredInSubNet'],
  ...['NotEnoughBalanceToStake', 'NonAssociatedColdKey', 'NoNeuronIdAvailable'],
  ...['CommitRevealDisabled', 'CommittingWeightsTooFast', 'TooManyUnrevealedCommits', 'RevealTooEarly'],
  ...['ExpiredWeightCommit', 'NoWeightsCommitFound', 'InvalidRevealCommitHashNotMatch'],
  'AdminActionProhibitedDuringWeightsWindow',
]

describe('the metadata', () => {
  let net: Net
  beforeAll(async () => {
    net = await startNet()
  })
  afterAll(() => net[Symbol.asyncDispose]())

  const pallet = (name: string) => {
    const found = net.api.runtimeMetadata.asLatest.pallets.find(one => one.name.toString() === name)
    if (!found) throw new Error(`no pallet ${name}`)
    return found
  }
  const typeOf = (id: unknown): string => {
    const { lookupName, type } = net.api.registry.lookup.getTypeDef(id as never)
    if (!lookupName) return type
    const { fields } = net.api.registry.lookup.getSiType(id as never).def.asComposite
    return `{${fields.map(one => `"${one.name.unwrap()}":"${typeOf(one.type)}"`).join()}}`
  }
  const variantsOf = (name: string, of: 'calls' | 'errors') =>
    net.api.registry.lookup.getSiType(pallet(name)[of].unwrap().type).def.asVariant.variants

  test.each(STORAGE)('SubtensorModule.%s: %s -> %s', (name, keys, value, fallback) => {
    const item = pallet('SubtensorModule')
      .storage.unwrap()
      .items.find(one => one.name.toString() === name)
    const { type, modifier, fallback: bytes } = item ?? {}
    const plain = type?.isPlain
    const hashers = plain ? [] : (type?.asMap.hashers.map(String) ?? [])
    const shorts: Record<string, string> = { Identity: 'I', Blake2_128Concat: 'B', Twox64Concat: 'T' }
    const keyTypes = plain
      ? []
      : typeOf(type?.asMap.key)
          .replace(/^\((.*)\)$/, '$1')
          .split(',')
    expect(hashers.map((hasher, i) => `${shorts[hasher]} ${keyTypes[i]}`).join(', ')).toBe(keys)
    const valueId = plain ? type?.asPlain : type?.asMap.value
    expect(typeOf(valueId)).toBe(value)
    expect(modifier?.isOptional).toBe(fallback === undefined)
    if (fallback === undefined) return
    const shown = net.api.registry.createTypeUnsafe(value, [hexToU8a(bytes?.toHex())]).toJSON()
    expect(shown).toEqual(fallback)
  })

  test.each(CALLS)('SubtensorModule.%s: %i (%s)', (name, index, args) => {
    const call = variantsOf('SubtensorModule', 'calls').find(one => one.name.toString() === name)
    expect(call?.index.toNumber()).toBe(index)
    expect(call?.fields.map(one => `${one.name.unwrap()} ${typeOf(one.type)}`).join(', ')).toBe(args)
  })

  test.each(SETTERS)('AdminUtils.sudo_set_%s: %i', (name, index) => {
    const call = variantsOf('AdminUtils', 'calls').find(one => one.name.toString() === `sudo_set_${name}`)
    expect(call?.index.toNumber()).toBe(index)
    const first = call?.fields[0]?.name.unwrap().toString()
    expect(first === 'netuid').toBe(!CHAIN_WIDE.includes(name))
  })

  test("has the later era's name for every error", () => {
    const names = variantsOf('SubtensorModule', 'errors').map(one => one.name.toString())
    expect(ERRORS.filter(name => !names.includes(name))).toEqual([])
    for (const old of ['NotRegistered', 'NoValidatorPermit', 'NotSettingEnoughWeights', 'InvalidUid', 'TooManyUids']) {
      expect(names).not.toContain(old)
    }
  })
})
