/** The client of a Substrate chain and its types, loaded as CommonJS (docs/decisions/0014-polkadot-as-commonjs.md). */
import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)

export const { ApiPromise } = load('@polkadot/api') as typeof import('@polkadot/api')
export const { TypeRegistry } = load('@polkadot/types') as typeof import('@polkadot/types')
/** The signed extensions whose bytes the client knows, by name. */
export const { allExtensions } = load(
  '@polkadot/types/extrinsic/signedExtensions',
) as typeof import('@polkadot/types/extrinsic/signedExtensions')
