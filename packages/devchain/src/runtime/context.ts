import type { systemStorage } from '../pallets/system.ts'
import type { Hex } from '../scale/bytes.ts'
import type { ValueOf } from '../scale/type.ts'
import type { Cases } from '../scale/variants.ts'
import type { Store } from '../state/store.ts'
import type { RuntimeCall } from '../table/runtime-call.ts'
import { badOrigin, type DispatchErrorValue, DispatchFailure } from './failure.ts'

export type EventRecord = ValueOf<(typeof systemStorage)['Events']['type']>[number]
export type Phase = EventRecord['phase']

export type Origin = { signer: Hex } | 'root'

/** The events of a pallet, typed by its table. */
export interface EventSource<E extends Cases> {
  pallet: string
  /** Never set; it carries the types of the events. */
  of?(): E
}

type EventValue<E extends Cases, N extends keyof E> = ValueOf<E[N]['type']>

/** The context of a call while a block is being built. */
export class Context {
  readonly store: Store
  /** The number of the block that is being built. */
  readonly block: bigint
  events: EventRecord[] = []
  phase: Phase = { type: 'Initialization', value: null }
  /** Executes a call inside a call. The dispatcher sets this. */
  readonly dispatch: (origin: Origin, call: RuntimeCall) => void

  constructor(store: Store, block: bigint, dispatch: (context: Context, origin: Origin, call: RuntimeCall) => void) {
    this.store = store
    this.block = block
    this.dispatch = (origin, call) => dispatch(this, origin, call)
  }

  emit<E extends Cases, N extends keyof E & string>(source: EventSource<E>, name: N, value: EventValue<E, N>): void {
    this.events.push({
      phase: this.phase,
      event: { type: source.pallet, value: { type: name, value } },
      topics: [],
    })
  }

  /** Executes `run` atomically. A refusal undoes its changes and events and is returned; null on success. */
  attempt(run: () => void): DispatchErrorValue | null {
    const events = this.events.length
    this.store.begin()
    try {
      run()
    } catch (error) {
      this.store.rollback()
      this.events.length = events
      if (error instanceof DispatchFailure) return error.error
      throw error
    }
    this.store.commit()
    return null
  }
}

export function signerOf(origin: Origin): Hex {
  if (origin === 'root') throw badOrigin()
  return origin.signer
}

export function ensureRoot(origin: Origin): void {
  if (origin !== 'root') throw badOrigin()
}
