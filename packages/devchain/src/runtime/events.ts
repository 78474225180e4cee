import type { balancesEvents } from '../pallets/balances.ts'
import type { commitmentsEvents } from '../pallets/commitments.ts'
import type { subtensorEvents } from '../pallets/subtensor/events.ts'
import type { sudoEvents } from '../pallets/sudo.ts'
import type { systemEvents } from '../pallets/system.ts'
import type { utilityEvents } from '../pallets/utility.ts'
import type { EventSource } from './context.ts'

export const SYSTEM: EventSource<typeof systemEvents> = { pallet: 'System' }
export const BALANCES: EventSource<typeof balancesEvents> = { pallet: 'Balances' }
export const UTILITY: EventSource<typeof utilityEvents> = { pallet: 'Utility' }
export const SUDO: EventSource<typeof sudoEvents> = { pallet: 'Sudo' }
export const COMMITMENTS: EventSource<typeof commitmentsEvents> = { pallet: 'Commitments' }
export const SUBTENSOR: EventSource<typeof subtensorEvents> = { pallet: 'SubtensorModule' }
