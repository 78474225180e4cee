import type { ApiPromise } from '@polkadot/api'
import { ChainError } from '../errors.ts'
import { allExtensions } from '../polkadot/api.ts'

/** The metadata version with `implicit` instead of `additionalSigned`. */
const RENAMED_IN = 16

/**
 * The signed extensions of a runtime that @polkadot/api does not know and that add bytes to a transaction. Without those
 * bytes no signature is right, so nothing can be signed. An unknown one that encodes to nothing, as Bittensor's do, needs
 * no knowledge.
 */
export function unknownExtensions({ registry, runtimeMetadata }: ApiPromise): string[] {
  const { lookup } = registry
  const isEmpty = (type: Parameters<typeof lookup.getTypeDef>[0]): boolean =>
    registry.createTypeUnsafe(lookup.getTypeDef(type).type, []).encodedLength === 0
  return extensionsOf(runtimeMetadata)
    .filter(({ name }) => !Object.hasOwn(allExtensions, name))
    .filter(({ adds }) => !adds.every(isEmpty))
    .map(({ name }) => name)
}

/** With the types of what each adds to a transaction, and to what is signed of it only. */
function extensionsOf(metadata: ApiPromise['runtimeMetadata']) {
  // Newer metadata has another name for the second, which @polkadot/api does not fill in from older metadata.
  if (metadata.version >= RENAMED_IN) {
    return metadata.asV16.extrinsic.transactionExtensions.map(({ identifier, type, implicit }) => ({
      ...{ name: identifier.toString(), adds: [type, implicit] },
    }))
  }
  return metadata.asV15.extrinsic.signedExtensions.map(({ identifier, type, additionalSigned }) => ({
    ...{ name: identifier.toString(), adds: [type, additionalSigned] },
  }))
}

/** @throws ChainError Unsupported naming the extensions that stand in the way of a signature */
export function ensureSignable(extensions: readonly string[]): void {
  if (extensions.length === 0) return
  const names = extensions.join(', ')
  throw new ChainError('Unsupported', `the runtime wants bytes that this version does not know: ${names}`)
}
