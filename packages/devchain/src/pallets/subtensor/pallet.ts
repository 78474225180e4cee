import { u16, u64 } from '../../scale/primitives.ts'
import { constant, type Pallet } from '../../table/pallet.ts'
import { subtensorCalls } from './calls.ts'
import { subtensorErrors } from './errors.ts'
import { subtensorEvents } from './events.ts'
import { subtensorStorage } from './storage.ts'

export const subtensor: Pallet = {
  name: 'SubtensorModule',
  index: 7,
  storage: subtensorStorage,
  calls: subtensorCalls,
  events: subtensorEvents,
  errors: subtensorErrors,
  constants: {
    InitialTempo: constant(u16, 360),
    InitialServingRateLimit: constant(u64, 50n),
    InitialMaxAllowedUids: constant(u16, 256),
    InitialMaxAllowedValidators: constant(u16, 64),
  },
}
