/** The client of a Substrate chain and its types, loaded as CommonJS (docs/decisions/0014-polkadot-as-commonjs.md). */
import { createRequire } from 'node:module'
import type { ApiPromise as Api } from '@polkadot/api'

const load = createRequire(import.meta.url)

export const { ApiPromise } = load('@polkadot/api') as typeof import('@polkadot/api')
export const { TypeRegistry } = load('@polkadot/types') as typeof import('@polkadot/types')
/** The signed extensions that @polkadot/api can encode, by name. */
const { allExtensions } = load(
  '@polkadot/types/extrinsic/signedExtensions',
) as typeof import('@polkadot/types/extrinsic/signedExtensions')

/** From this metadata version on, `additionalSigned` is called `implicit`. */
const VERSION_WITH_IMPLICIT = 16

/**
 * Returns the runtime's signed extensions that add bytes to a transaction and that @polkadot/api cannot encode. With
 * any such extension every signature is wrong, so nothing can be signed. An unknown extension that encodes to nothing,
 * as Bittensor's own do, does no harm and is left out.
 */
export function unsupportedExtensions({ registry, runtimeMetadata }: Api): string[] {
  const { lookup } = registry
  const isEmpty = (type: Parameters<typeof lookup.getTypeDef>[0]): boolean =>
    registry.createTypeUnsafe(lookup.getTypeDef(type).type, []).encodedLength === 0
  return extensionsIn(runtimeMetadata)
    .filter(({ name }) => !Object.hasOwn(allExtensions, name))
    .filter(({ types }) => !types.every(isEmpty))
    .map(({ name }) => name)
}

/** Lists each extension with the type it adds to a transaction and the type it adds only to the signed payload. */
function extensionsIn(metadata: Api['runtimeMetadata']) {
  // @polkadot/api does not fill in `implicit` when the metadata is older.
  if (metadata.version >= VERSION_WITH_IMPLICIT) {
    return metadata.asV16.extrinsic.transactionExtensions.map(({ identifier, type, implicit }) => ({
      ...{ name: identifier.toString(), types: [type, implicit] },
    }))
  }
  return metadata.asV15.extrinsic.signedExtensions.map(({ identifier, type, additionalSigned }) => ({
    ...{ name: identifier.toString(), types: [type, additionalSigned] },
  }))
}
