import { describe, expect, it } from 'vitest'
import { CHAIN_ERRORS, ChainError, chainErrorByName } from '../../errors.ts'
import { RpcError } from '../rpc.ts'
import { refusalOfPool } from './refusals.ts'

describe('what a node answers to an extrinsic', () => {
  it.each([
    [1010, 'Transaction has a bad signature', 'BadSignature', 'BadProof', false],
    [1010, 'Transaction is outdated', 'StaleNonce', 'Stale', true],
    [1010, 'Transaction will be valid in the future', 'FutureNonce', 'Future', true],
    [1010, 'Transaction has an ancient birth block', 'ExpiredEra', 'AncientBirthBlock', true],
    [1010, 'Inability to pay some fees (e.g. account balance too low)', 'NotEnoughBalance', 'Payment', false],
    [1010, 'Transaction would exhaust the block limits', 'BlockFull', 'ExhaustsResources', true],
    [1010, 'Transaction call is not expected', 'NotAllowed', 'Call', false],
    [1010, { invalid: 'BadProof' }, 'BadSignature', 'BadProof', false],
    [1010, '{"invalid":{"stale":null}}', 'StaleNonce', 'Stale', true],
    [1010, { invalid: { custom: 6 } }, 'SettingWeightsTooFast', 'Custom(6)', true],
    [1010, 'Custom error: 10', 'NotRegistered', 'Custom(10)', false],
    [1010, '{"invalid":{"custom":12}}', 'ServingTooFast', 'Custom(12)', true],
    [1010, 'Custom error: 255', 'ChainRefused', 'Custom(255)', false],
    [1010, 'Something new', 'ChainRefused', 'Something new', false],
    [1010, undefined, 'ChainRefused', 'Invalid Transaction', false],
    [1011, 'Unknown', 'InclusionUnknown', null, true],
    [1012, undefined, 'Banned', null, true],
    [1013, undefined, 'AlreadyImported', null, true],
    [1014, 'Priority is too low: (1 > 2)', 'PriorityTooLow', null, true],
    [1016, undefined, 'BlockFull', null, true],
    [-32603, 'Internal', 'RpcFailed', null, true],
  ])('%d %j is %s', (code, data, expected, chainName, retryable) => {
    const error = refusalOfPool(new RpcError(code, 'Invalid Transaction', data))
    expect(error).toMatchObject({ name: 'ChainError', code: expected, chainName, retryable })
  })
})

describe('what a node says in the message alone', () => {
  it.each([
    ['Invalid Transaction: Custom error: 6', 'SettingWeightsTooFast', 'Custom(6)'],
    ['Invalid Transaction: {"invalid":{"custom":10}}', 'NotRegistered', 'Custom(10)'],
    ['Invalid Transaction: Transaction is outdated', 'StaleNonce', 'Stale'],
    ['Inability to pay some fees (e.g. account balance too low)', 'NotEnoughBalance', 'Payment'],
    ['{"invalid":"BadProof"}', 'BadSignature', 'BadProof'],
    ['Invalid Transaction: Something new', 'ChainRefused', 'Something new'],
    ['Invalid Transaction', 'ChainRefused', 'Invalid Transaction'],
    ['', 'ChainRefused', 'Invalid'],
  ])('%s is %s', (message, expected, chainName) => {
    for (const data of [undefined, null, '']) {
      expect(refusalOfPool(new RpcError(1010, message, data))).toMatchObject({ code: expected, chainName })
    }
  })

  it('prefers the data, which is more exact', () => {
    const error = new RpcError(1010, 'Invalid Transaction: Custom error: 6', 'Custom error: 10')
    expect(refusalOfPool(error)).toMatchObject({ code: 'NotRegistered' })
  })
})

it('names of both eras are one code', () => {
  const pairs = [
    ['NotRegistered', 'HotKeyNotRegisteredInSubNet'],
    ['NoValidatorPermit', 'NeuronNoValidatorPermit'],
    ['NotSettingEnoughWeights', 'WeightVecLengthIsLow'],
    ['InvalidUid', 'UidVecContainInvalidOne'],
    ['IncorrectNetworkVersionKey', 'IncorrectWeightVersionKey'],
    ['TooManyUids', 'UidsLengthExceedUidsInSubNet'],
    ['NetworkDoesNotExist', 'MechanismDoesNotExist'],
  ] as const
  for (const [of2024, ofToday] of pairs) {
    expect(chainErrorByName(of2024).code).toBe(chainErrorByName(ofToday).code)
    expect(chainErrorByName(ofToday).message).toContain(ofToday)
  }
  expect(chainErrorByName('NeverHeardOf', 'pallet x')).toMatchObject({
    code: 'ChainRefused',
    chainName: 'NeverHeardOf',
  })
})

it('no name stands for two codes', () => {
  const names = Object.values(CHAIN_ERRORS).flatMap(({ names }) => [...names])
  expect(new Set(names).size).toBe(names.length)
  expect(new ChainError('Timeout', 'metagraph').message).toBe('Timeout: the chain did not answer in time: metagraph')
})
