import type { balancesCalls } from '../pallets/balances.ts'
import { forceBalance, freeBalance, lookUp, spendable, transfer } from './accounts.ts'
import { ensureRoot, signerOf } from './context.ts'
import type { Handlers } from './handlers.ts'

export const balancesHandlers: Handlers<typeof balancesCalls> = {
  transfer_allow_death: (context, origin, { dest, value }) =>
    transfer(context, signerOf(origin), lookUp(dest), value, 'AllowDeath'),

  transfer_keep_alive: (context, origin, { dest, value }) =>
    transfer(context, signerOf(origin), lookUp(dest), value, 'KeepAlive'),

  transfer_all: (context, origin, { dest, keep_alive }) => {
    const from = signerOf(origin)
    const amount = keep_alive ? spendable(context.store, from) : freeBalance(context.store, from)
    transfer(context, from, lookUp(dest), amount, keep_alive ? 'KeepAlive' : 'AllowDeath')
  },

  force_transfer: (context, origin, { source, dest, value }) => {
    ensureRoot(origin)
    transfer(context, lookUp(source), lookUp(dest), value, 'AllowDeath')
  },

  force_set_balance: (context, origin, { who, new_free }) => {
    ensureRoot(origin)
    forceBalance(context, lookUp(who), new_free)
  },
}
