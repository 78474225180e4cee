import type { Field, Shape, Type, Variant } from '../scale/type.ts'
import { typeName } from './type-name.ts'

export interface BookField {
  name: string | null
  type: number
  typeName: string
}

export type BookDefinition =
  | { type: 'Composite'; value: { fields: BookField[] } }
  | { type: 'Variant'; value: { name: string; fields: BookField[]; index: number }[] }
  | { type: 'Sequence' | 'Compact'; value: number }
  | { type: 'Array'; value: { length: number; type: number } }
  | { type: 'Tuple'; value: number[] }
  | { type: 'Primitive'; value: string }

export interface BookEntry {
  path: string[]
  parameters: { name: string; type: number | null }[]
  definition: BookDefinition
}

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
    const id = this.entries.push({ path: [], parameters: [], definition: { type: 'Tuple', value: [] } }) - 1
    this.#byType.set(type, id)
    this.entries[id] = this.#entry(shape)
    return id
  }

  /** Anonymous types are equal by structure: two Vec<u16> in the table share one number. */
  #share(type: Type<unknown>, shape: Shape): number {
    const entry = this.#entry(shape)
    const text = JSON.stringify(entry)
    const id = this.#byText.get(text) ?? this.entries.push(entry) - 1
    this.#byText.set(text, id)
    this.#byType.set(type, id)
    return id
  }

  #entry(shape: Shape): BookEntry {
    const parameters = 'parameters' in shape ? (shape.parameters ?? []) : []
    return {
      path: 'path' in shape && shape.path !== '' ? shape.path.split('::') : [],
      parameters: parameters.map(({ name, type }) => ({ name, type: type ? this.idOf(type) : null })),
      definition: this.#definition(shape),
    }
  }

  #definition(shape: Shape): BookDefinition {
    switch (shape.kind) {
      case 'primitive':
        return { type: 'Primitive', value: shape.name }
      case 'composite':
        return { type: 'Composite', value: { fields: this.#fields(shape.fields) } }
      case 'variant':
        return { type: 'Variant', value: shape.variants.map(one => this.#variant(one)) }
      case 'sequence':
        return { type: 'Sequence', value: this.idOf(shape.of) }
      case 'compact':
        return { type: 'Compact', value: this.idOf(shape.of) }
      case 'array':
        return { type: 'Array', value: { length: shape.length, type: this.idOf(shape.of) } }
      case 'tuple':
        return { type: 'Tuple', value: shape.of.map(one => this.idOf(one)) }
    }
  }

  #fields(fields: Field[]): BookField[] {
    return fields.map(({ name, type }) => ({ name: name ?? null, type: this.idOf(type), typeName: typeName(type) }))
  }

  #variant({ name, index, fields }: Variant) {
    return { name, index, fields: this.#fields(fields) }
  }
}
