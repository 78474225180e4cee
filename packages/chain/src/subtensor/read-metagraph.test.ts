import { TypeRegistry } from '@polkadot/types'
import { u8aToHex } from '@polkadot/util'
import { expect, it } from 'vitest'
import { hotkeyFromUri } from '../wallet.ts'
import { stakesIn } from './read-metagraph.ts'

const METAGRAPH = '{"netuid":"Compact<u16>","hotkeys":"Vec<AccountId>","totalStake":"Vec<Compact<u64>>"}'
const registry = new TypeRegistry()
const answer = (totalStake: bigint[]): string => {
  const hotkeys = ['//Alice', '//Bob'].map(uri => hotkeyFromUri(uri).ss58)
  return u8aToHex(registry.createType(`Option<${METAGRAPH}>`, { netuid: 12, hotkeys, totalStake }).toU8a())
}

it('decodes the total stakes of the metagraph runtime API by hotkey', () => {
  const stakes = stakesIn(registry, `Option<${METAGRAPH}>`, answer([1_500_000_000_000n, 7n]))
  expect([...(stakes ?? [])].map(([hotkey, stake]) => [hotkey, stake.toString()])).toEqual([
    [hotkeyFromUri('//Alice').ss58, '1500000000000'],
    [hotkeyFromUri('//Bob').ss58, '7'],
  ])
})

it('returns undefined for an answer of an unknown form', () => {
  expect(stakesIn(registry, `Option<${METAGRAPH}>`, '0x00')).toBeUndefined()
  expect(stakesIn(registry, `Option<${METAGRAPH}>`, answer([1n]))).toBeUndefined()
  expect(stakesIn(registry, `Option<${METAGRAPH}>`, '0x01ffff')).toBeUndefined()
  expect(stakesIn(registry, '{"other":"Vec<u8>"}', '0x0400')).toBeUndefined()
  expect(stakesIn(registry, 'NoSuchType', answer([1n, 2n]))).toBeUndefined()
})
