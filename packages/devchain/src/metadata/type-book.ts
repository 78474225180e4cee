import type { V14Lookup } from '@polkadot-api/substrate-bindings'
import type { Field, Shape, Type, Variant } from '../scale/type.ts'
import { typeName } from './type-name.ts'

type BookEntry = V14Lookup[number]

/** Numbers every type in the metadata, like scale-info's portable registry. */
export class TypeBook {
  readonly entries: BookEntry[] = []
  readonly #byType = new Map<Type<unknown>, number>()
  readonly #byText = new Map<string, number>()

  idOf(type: Type<unknown>): number {
    const known = this.#byType.get(type)
    if (known !== undefined) return known
    const shape = type.shape()
    return 'path' in shape && shape.path !== '' && shape.path !== 'Option' && shape.path !== 'Result'
      ? this.#reserve(type, shape)
      : this.#share(type, shape)
  }

  /** A named type may contain itself, so it gets its number before its members. */
  #reserve(type: Type<unknown>, shape: Shape): number {
    const id = this.entries.length
    this.entries.push({ id, path: [], params: [], def: { tag: 'tuple', value: [] }, docs: [] })
    this.#byType.set(type, id)
    this.entries[id] = { ...this.#entry(shape), id }
    return id
  }

  /** Anonymous types are equal by structure: two Vec<u16> in the table share one number. */
  #share(type: Type<unknown>, shape: Shape): number {
    const entry = this.#entry(shape)
    const text = JSON.stringify(entry)
    const id = this.#byText.get(text) ?? this.entries.push({ ...entry, id: this.entries.length }) - 1
    this.#byText.set(text, id)
    this.#byType.set(type, id)
    return id
  }

  #entry(shape: Shape): Omit<BookEntry, 'id'> {
    const parameters = 'parameters' in shape ? (shape.parameters ?? []) : []
    return {
      path: 'path' in shape && shape.path !== '' ? shape.path.split('::') : [],
      params: parameters.map(({ name, type }) => ({ name, type: type && this.idOf(type) })),
      def: this.#definition(shape),
      docs: [],
    }
  }

  #definition(shape: Shape): BookEntry['def'] {
    switch (shape.kind) {
      case 'primitive':
        return { tag: 'primitive', value: { tag: shape.name, value: undefined } }
      case 'composite':
        return { tag: 'composite', value: this.#fields(shape.fields) }
      case 'variant':
        return { tag: 'variant', value: shape.variants.map(one => this.#variant(one)) }
      case 'sequence':
        return { tag: 'sequence', value: this.idOf(shape.of) }
      case 'compact':
        return { tag: 'compact', value: this.idOf(shape.of) }
      case 'array':
        return { tag: 'array', value: { len: shape.length, type: this.idOf(shape.of) } }
      case 'tuple':
        return { tag: 'tuple', value: shape.of.map(one => this.idOf(one)) }
    }
  }

  #fields(fields: Field[]) {
    return fields.map(({ name, type }) => ({ name, type: this.idOf(type), typeName: typeName(type), docs: [] }))
  }

  #variant({ name, index, fields }: Variant) {
    return { name, index, fields: this.#fields(fields), docs: [] }
  }
}
