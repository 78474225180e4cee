import { describe, expect, it } from 'vitest'
import { CHAIN_ERRORS, ChainError, chainErrorByName } from '../../errors.ts'
import { RpcError } from '../rpc.ts'
import { refusalOfPool } from './refusals.ts'

describe('refusalOfPool', () => {
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
  ])('maps code %d with data %j to %s', (code, data, expected, chainName, retryable) => {
    const error = refusalOfPool(new RpcError(code, 'Invalid Transaction', data))
    expect(error).toMatchObject({ name: 'ChainError', code: expected, chainName, retryable })
  })
})

describe('refusalOfPool without data', () => {
  it.each([
    ['Invalid Transaction: Custom error: 6', 'SettingWeightsTooFast', 'Custom(6)'],
    ['Invalid Transaction: {"invalid":{"custom":10}}', 'NotRegistered', 'Custom(10)'],
    ['Invalid Transaction: Transaction is outdated', 'StaleNonce', 'Stale'],
    ['Inability to pay some fees (e.g. account balance too low)', 'NotEnoughBalance', 'Payment'],
    ['{"invalid":"BadProof"}', 'BadSignature', 'BadProof'],
    ['Invalid Transaction: Something new', 'ChainRefused', 'Something new'],
    ['Invalid Transaction', 'ChainRefused', 'Invalid Transaction'],
    ['', 'ChainRefused', 'Invalid'],
  ])('maps the message "%s" to %s', (message, expected, chainName) => {
    for (const data of [undefined, null, '']) {
      expect(refusalOfPool(new RpcError(1010, message, data))).toMatchObject({ code: expected, chainName })
    }
  })

  it('prefers the data to the message', () => {
    const error = new RpcError(1010, 'Invalid Transaction: Custom error: 6', 'Custom error: 10')
    expect(refusalOfPool(error)).toMatchObject({ code: 'NotRegistered' })
  })
})

it('maps the old and the new name of an error to the same code', () => {
  const pairs = [
    ['NotRegistered', 'HotKeyNotRegisteredInSubNet'],
    ['NoValidatorPermit', 'NeuronNoValidatorPermit'],
    ['NotSettingEnoughWeights', 'WeightVecLengthIsLow'],
    ['InvalidUid', 'UidVecContainInvalidOne'],
    ['IncorrectNetworkVersionKey', 'IncorrectWeightVersionKey'],
    ['TooManyUids', 'UidsLengthExceedUidsInSubNet'],
    ['NetworkDoesNotExist', 'MechanismDoesNotExist'],
  ] as const
  for (const [oldName, newName] of pairs) {
    expect(chainErrorByName(oldName).code).toBe(chainErrorByName(newName).code)
    expect(chainErrorByName(newName).message).toContain(newName)
  }
  expect(chainErrorByName('NeverHeardOf', 'pallet x')).toMatchObject({
    code: 'ChainRefused',
    chainName: 'NeverHeardOf',
  })
})

it('maps no name to two codes', () => {
  const names = Object.values(CHAIN_ERRORS).flatMap(({ names }) => [...names])
  expect(new Set(names).size).toBe(names.length)
  expect(new ChainError('Timeout', 'metagraph').message).toBe('Timeout: the chain did not answer in time: metagraph')
})
