import type { Block, Header } from '../chain/block.ts'
import { VERSION } from '../pallets/system.ts'
import { toHex } from '../scale/bytes.ts'

/** Headers, blocks and versions as Substrate writes them in JSON. */

export function headerJson({ parentHash, number, stateRoot, extrinsicsRoot }: Header) {
  return { parentHash, number: `0x${number.toString(16)}`, stateRoot, extrinsicsRoot, digest: { logs: [] } }
}

export function blockJson({ header, extrinsics }: Block) {
  return { block: { header: headerJson(header), extrinsics: extrinsics.map(toHex) }, justifications: null }
}

export const versionJson = {
  specName: VERSION.spec_name,
  implName: VERSION.impl_name,
  authoringVersion: VERSION.authoring_version,
  specVersion: VERSION.spec_version,
  implVersion: VERSION.impl_version,
  apis: VERSION.apis,
  transactionVersion: VERSION.transaction_version,
  systemVersion: VERSION.system_version,
  stateVersion: VERSION.system_version,
}
