import { accountId, multiAddress } from '../scale/accounts.ts'
import { option } from '../scale/composites.ts'
import { empty, record } from '../scale/variants.ts'
import { dispatchResult } from '../table/dispatch-error.ts'
import { call, type Pallet } from '../table/pallet.ts'
import { runtimeCall } from '../table/runtime-call.ts'
import { optionalValue, place } from '../table/storage-entry.ts'

export const sudoStorage = place('Sudo', { Key: optionalValue(accountId) })

export const sudoCalls = {
  sudo: call(0, { call: runtimeCall }),
  set_key: call(2, { new: multiAddress }),
  sudo_as: call(3, { who: multiAddress, call: runtimeCall }),
}

export const sudoEvents = {
  Sudid: record({ sudo_result: dispatchResult }),
  KeyChanged: record({ old: option(accountId), new: accountId }),
  KeyRemoved: empty,
  SudoAsDone: record({ sudo_result: dispatchResult }),
}

export const sudo: Pallet = {
  name: 'Sudo',
  index: 12,
  storage: sudoStorage,
  calls: sudoCalls,
  events: sudoEvents,
  errors: ['RequireSudo'],
}
