import { subtensorStorage } from '../../pallets/subtensor/storage.ts'
import { systemStorage, VERSION } from '../../pallets/system.ts'
import { blocksUntilEpoch } from '../../runtime/subtensor/epoch.ts'
import { accountId, dispatchClass, weight } from '../../scale/accounts.ts'
import type { Hex } from '../../scale/bytes.ts'
import { bytes, option, struct, vec } from '../../scale/composites.ts'
import { u16, u32, u64 } from '../../scale/primitives.ts'
import { decode, encode } from '../../scale/type.ts'
import { View } from '../../state/store.ts'
import { runtimeVersion } from '../../table/version.ts'
import { decodeExtrinsic } from '../../transactions/extrinsic.ts'
import { CALL_WEIGHT, feeOf, feeParts, lengthFee } from '../../transactions/fees.ts'
import { type Node, readerAt } from '../method.ts'
import { CODES, RpcError, submissionError } from '../rpc-error.ts'

interface Question {
  node: Node
  input: Uint8Array
  /** The state of the requested block. */
  view: View
  block: bigint
}

const METADATA_VERSIONS = [14]

const dispatchInfo = struct('', { weight, class: dispatchClass, partialFee: u64 })
const feeDetails = struct('', {
  inclusion: option(struct('', { base: u64, length: u64, adjustedWeight: u64 })),
})

const LENGTH_BYTES = 4

function extrinsicOf(input: Uint8Array) {
  // The extrinsic with its length prefix, followed by its length as u32.
  try {
    return decodeExtrinsic(input.slice(0, input.length - LENGTH_BYTES))
  } catch (error) {
    throw submissionError(error)
  }
}

const APIS: Record<string, (question: Question) => Uint8Array> = {
  Core_version: () => encode(runtimeVersion, VERSION),
  Metadata_metadata: ({ node }) => encode(bytes, node.metadata),
  Metadata_metadata_versions: () => encode(vec(u32), METADATA_VERSIONS),
  Metadata_metadata_at_version: ({ node, input }) => {
    const known = METADATA_VERSIONS.includes(decode(u32, input))
    return encode(option(bytes), known ? node.metadata : null)
  },
  AccountNonceApi_account_nonce: ({ input, view }) =>
    encode(u32, view.get(systemStorage.Account, decode(accountId, input)).nonce),
  TransactionPaymentApi_query_info: ({ input }) => {
    const { call, bytes: sent } = extrinsicOf(input)
    const normal = { type: 'Normal', value: null } as const
    return encode(dispatchInfo, { weight: CALL_WEIGHT, class: normal, partialFee: feeOf(call, sent.length) })
  },
  TransactionPaymentApi_query_fee_details: ({ input }) => {
    const { call, bytes: sent } = extrinsicOf(input)
    const parts = feeParts(call, sent.length)
    const inclusion = parts.base === 0n ? null : { ...parts, adjustedWeight: 0n }
    return encode(feeDetails, { inclusion })
  },
  // The fee consists of the base and the length fee. The weight costs nothing.
  TransactionPaymentApi_query_weight_to_fee: () => encode(u64, 0n),
  TransactionPaymentApi_query_length_to_fee: ({ input }) => encode(u64, lengthFee(decode(u32, input))),
  SubnetInfoRuntimeApi_get_next_epoch_start_block: ({ input, view, block }) => {
    const netuid = decode(u16, input)
    const exists = view.get(subtensorStorage.NetworksAdded, netuid)
    const left = exists ? blocksUntilEpoch(netuid, view.get(subtensorStorage.Tempo, netuid), block + 1n) : null
    return encode(option(u64), left === null ? null : block + 1n + left)
  },
}

/** Calls a runtime API by its exported name. @throws RpcError for an unknown one, ScaleError for bad arguments */
export function callRuntime(node: Node, name: string, input: Uint8Array, hash: Hex): Uint8Array {
  const api = Object.hasOwn(APIS, name) ? APIS[name] : undefined
  if (!api) throw new RpcError(CODES.client, `Client error: Execution failed: Exported method ${name} is not found`)
  const view = new View(readerAt(node, hash))
  return api({ node, input, view, block: BigInt(view.get(systemStorage.Number)) })
}
