import type { ArgsOf, Calls } from '../table/pallet.ts'
import type { Context, Origin } from './context.ts'

/** What carries out the calls of one pallet: a function for every call of its table. */
export type Handlers<C extends Calls> = {
  [K in keyof C]: (context: Context, origin: Origin, args: ArgsOf<C[K]>) => void
}
