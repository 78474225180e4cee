import { ScaleError } from './bytes.ts'
import { type Members, type Struct, struct, type Tagged, tuple, unit } from './composites.ts'
import type { Field, Parameter, Type, ValueOf } from './type.ts'

/** One case of an enum: its contents, and their description in the metadata. */
export interface Case<T> {
  type: Type<T>
  fields: Field[]
  index?: number
}

/** Named fields: the value is an object. */
export function record<M extends Members>(members: M, index?: number): Case<Struct<M>> {
  const fields = Object.entries(members).map(([name, type]) => ({ name, type }))
  return { type: struct('', members), fields, ...(index === undefined ? {} : { index }) }
}

/** Unnamed fields: the value is an array. */
export function fieldsOf<T extends Type<unknown>[]>(...types: T): Case<{ [I in keyof T]: ValueOf<T[I]> }> {
  return { type: tuple(...types), fields: types.map(type => ({ type })) }
}

/** One unnamed field: the value itself. */
export function only<T>(type: Type<T>, index?: number): Case<T> {
  return { type, fields: [{ type }], ...(index === undefined ? {} : { index }) }
}

export const empty: Case<null> = { type: unit, fields: [] }

export type Cases = Record<string, Case<unknown>>
export type TypesOf<C extends Cases> = { [K in keyof C]: C[K]['type'] }

/** An enum whose value is `{ type, value }`. Cases without an index count from 0 by position, as in Rust. */
export function variants<C extends Cases>(
  path: string,
  cases: C,
  parameters: Parameter[] = [],
): Type<Tagged<TypesOf<C>>> {
  const list = Object.entries(cases).map(([name, one], position) => ({ name, index: one.index ?? position, ...one }))
  const byName = new Map(list.map((one, position) => [one.name, { ...one, index: one.index ?? position }]))
  const byIndex = new Map([...byName.values()].map(one => [one.index, one]))
  return {
    encode: (value, out) => {
      const found = byName.get(value.type)
      if (!found) throw new ScaleError(`${path} has no ${value.type}`)
      out.byte(found.index)
      found.type.encode(value.value, out)
    },
    decode: input => {
      const found = byIndex.get(input.byte())
      if (!found) throw new ScaleError(`an unknown case of ${path}`)
      return { type: found.name, value: found.type.decode(input) } as Tagged<TypesOf<C>>
    },
    shape: () => ({
      kind: 'variant',
      path,
      parameters,
      variants: [...byName.values()].map(({ name, index, fields }) => ({ name, index, fields })),
    }),
  }
}

/** A type that is defined later: the runtime's call enum is used in Utility's calls, which it contains. */
export function forward<T>(): Type<T> & { define(type: Type<T>): void } {
  let actual: Type<T> | undefined
  const get = (): Type<T> => {
    if (!actual) throw new Error('a forward type was used before it was defined')
    return actual
  }
  return {
    define: type => {
      actual = type
    },
    encode: (value, out) => get().encode(value, out),
    decode: input => input.deeper(() => get().decode(input)),
    shape: () => get().shape(),
  }
}
