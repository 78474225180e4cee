import type { Members, Struct } from '../scale/composites.ts'
import type { Type } from '../scale/type.ts'
import { type Cases, record } from '../scale/variants.ts'
import type { Entry } from './storage-entry.ts'

export interface Constant<T = unknown> {
  type: Type<T>
  value: T
}

/** A call of a pallet: its index and named arguments. `free` means Pays::No. */
export interface Call<M extends Members = Members> {
  index: number
  args: M
  free: boolean
}

export type Calls = Record<string, Call>
export type ArgsOf<C> = C extends Call<infer M> ? Struct<M> : never

export function call<M extends Members>(index: number, args: M, options: { free?: boolean } = {}): Call<M> {
  return { index, args, free: options.free ?? false }
}

/** One pallet in the runtime's table, from which both the metadata and the dispatcher are made. */
export interface Pallet {
  name: string
  index: number
  storage?: Record<string, Entry>
  calls?: Calls
  events?: Cases
  errors?: readonly string[]
  constants?: Record<string, Constant>
}

export function constant<T>(type: Type<T>, value: T): Constant<T> {
  return { type, value }
}

export function callCases(calls: Calls): Cases {
  return Object.fromEntries(Object.entries(calls).map(([name, { index, args }]) => [name, record(args, index)]))
}
