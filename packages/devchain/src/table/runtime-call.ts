import { forward } from '../scale/variants.ts'

/** A call of any pallet: `{ type: 'System', value: { type: 'remark', value: { remark } } }`. */
export interface RuntimeCall {
  type: string
  value: { type: string; value: unknown }
}

export interface RuntimeEvent {
  type: string
  value: { type: string; value: unknown }
}

export const runtimeCall = forward<RuntimeCall>()
export const runtimeEvent = forward<RuntimeEvent>()
