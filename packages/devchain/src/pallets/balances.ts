import { accountId, compactBalance, multiAddress } from '../scale/accounts.ts'
import { bool, u32, u64 } from '../scale/primitives.ts'
import { record } from '../scale/variants.ts'
import { call, constant, type Pallet } from '../table/pallet.ts'
import { place, value } from '../table/storage-entry.ts'

/** rao; an account that holds less is removed. */
export const EXISTENTIAL_DEPOSIT = 500n

export const balancesStorage = place('Balances', { TotalIssuance: value(u64, 0n), InactiveIssuance: value(u64, 0n) })

export const balancesCalls = {
  transfer_allow_death: call(0, { dest: multiAddress, value: compactBalance }),
  force_transfer: call(2, { source: multiAddress, dest: multiAddress, value: compactBalance }),
  transfer_keep_alive: call(3, { dest: multiAddress, value: compactBalance }),
  transfer_all: call(4, { dest: multiAddress, keep_alive: bool }),
  force_set_balance: call(8, { who: multiAddress, new_free: compactBalance }),
}

const moved = record({ who: accountId, amount: u64 })

export const balancesEvents = {
  Endowed: record({ account: accountId, free_balance: u64 }),
  DustLost: record({ account: accountId, amount: u64 }),
  Transfer: record({ from: accountId, to: accountId, amount: u64 }),
  BalanceSet: record({ who: accountId, free: u64 }),
  Deposit: moved,
  Withdraw: moved,
}

export const balances: Pallet = {
  name: 'Balances',
  index: 5,
  storage: balancesStorage,
  calls: balancesCalls,
  events: balancesEvents,
  errors: [
    'VestingBalance',
    'LiquidityRestrictions',
    'InsufficientBalance',
    'ExistentialDeposit',
    'Expendability',
    'ExistingVestingSchedule',
    'DeadAccount',
    'TooManyReserves',
    'TooManyHolds',
    'TooManyFreezes',
    'IssuanceDeactivated',
    'DeltaZero',
  ],
  constants: {
    ExistentialDeposit: constant(u64, EXISTENTIAL_DEPOSIT),
    MaxLocks: constant(u32, 50),
    MaxReserves: constant(u32, 50),
    MaxFreezes: constant(u32, 50),
  },
}
