import type { Shape, Type } from '../scale/type.ts'

/** Rust's own generic types. All other types are named without parameters, which could contain the type itself. */
const GENERIC = ['Option', 'Result']

/**
 * The name of a field's type as the runtime's source would write it: `AccountId32`, `Vec<u16>`. scale-info calls it
 * `typeName`. It may be absent by the format, but Python's clients decode no event and no error without it.
 */
export function typeName(type: Type<unknown>): string {
  const shape = type.shape()
  // A field with the attribute `compact` keeps the name of its type; only inside another type is `Compact` written.
  return shape.kind === 'compact' ? nameOf(shape.of.shape()) : nameOf(shape)
}

function nameOf(shape: Shape): string {
  switch (shape.kind) {
    case 'primitive':
      return shape.name === 'str' ? 'String' : shape.name
    case 'sequence':
      return `Vec<${inner(shape.of)}>`
    case 'compact':
      return `Compact<${inner(shape.of)}>`
    case 'array':
      return `[${inner(shape.of)}; ${shape.length}]`
    case 'tuple':
      return `(${shape.of.map(inner).join(', ')})`
    case 'composite':
    case 'variant':
      return namedType(shape)
  }
}

const inner = (type: Type<unknown>) => nameOf(type.shape())

function namedType({ path, parameters = [] }: Extract<Shape, { path: string }>): string {
  const name = path.split('::').at(-1) ?? ''
  if (!GENERIC.includes(name)) return name
  return `${name}<${parameters.map(({ name: parameter, type }) => (type ? inner(type) : parameter)).join(', ')}>`
}
