import type { ArgsOf, Calls } from '../table/pallet.ts'
import type { Context, Origin } from './context.ts'

/** The handlers of one pallet: a function for every call in its table. */
export type Handlers<C extends Calls> = {
  [K in keyof C]: (context: Context, origin: Origin, args: ArgsOf<C[K]>) => void
}
