import { z } from 'zod'
import type { TransactionStatus, Watcher } from '../../chain/pool.ts'
import { decodeAddress } from '../../crypto.ts'
import { type Hex, toHex } from '../../scale/bytes.ts'
import { decodeExtrinsic } from '../../transactions/extrinsic.ts'
import { CALL_WEIGHT, feeOf, feeParts } from '../../transactions/fees.ts'
import { binary, blockHash, type Method, method, nothing, optional, positional, subscription } from '../method.ts'
import { submissionError } from '../rpc-error.ts'

function submitting<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw submissionError(error)
  }
}

const submit = method(positional(binary), ({ chain }, [extrinsic]) => submitting(() => chain.submit(extrinsic).hash))

const submitAndWatch = subscription(positional(binary), ({ chain }, [extrinsic], subscriber) => {
  // The pool reports a transaction as soon as it is added, before the subscription exists.
  const early: TransactionStatus[] = []
  let handle: Watcher = status => early.push(status)
  const watcher: Watcher = status => handle(status)
  const { hash } = submitting(() => chain.submit(extrinsic, watcher))
  return subscriber.subscribe('author_extrinsicUpdate', send => {
    handle = status => send(status)
    for (const status of early) send(status)
    return () => {
      // Also after the transaction has left the pool for a block.
      handle = () => {}
      chain.pool.unwatch(hash, watcher)
    }
  })
})

const pendingExtrinsics = method(nothing, ({ chain }) => chain.pool.all().map(({ bytes }) => toHex(bytes)))

/** SS58 or a public key in hex. */
const account = z.string().transform((address, context): Hex => {
  try {
    return toHex(decodeAddress(address))
  } catch {
    context.addIssue({ code: 'custom', message: 'not an account' })
    return z.NEVER
  }
})

const accountNextIndex = method(positional(account), ({ chain }, [who]) =>
  chain.pool.nextNonce(who, chain.nonceOf(who)),
)

const extrinsicAt = z.union([z.tuple([binary]), positional(binary, optional(blockHash))])
const decodeOrRefuse = (extrinsic: Uint8Array) => submitting(() => decodeExtrinsic(extrinsic))

const queryInfo = method(extrinsicAt, (_node, [extrinsic]) => {
  const { call, bytes } = decodeOrRefuse(extrinsic)
  const weight = { ref_time: Number(CALL_WEIGHT.ref_time), proof_size: Number(CALL_WEIGHT.proof_size) }
  return { weight, class: 'normal', partialFee: feeOf(call, bytes.length).toString() }
})

const queryFeeDetails = method(extrinsicAt, (_node, [extrinsic]) => {
  const { call, bytes } = decodeOrRefuse(extrinsic)
  const { base, length } = feeParts(call, bytes.length)
  const fee = { baseFee: `0x${base.toString(16)}`, lenFee: `0x${length.toString(16)}`, adjustedWeightFee: '0x0' }
  return { inclusionFee: base === 0n ? null : fee }
})

export const authorMethods: Record<string, Method> = {
  author_submitExtrinsic: submit,
  author_submitAndWatchExtrinsic: submitAndWatch,
  author_pendingExtrinsics: pendingExtrinsics,
  system_accountNextIndex: accountNextIndex,
  account_nextIndex: accountNextIndex,
  payment_queryInfo: queryInfo,
  payment_queryFeeDetails: queryFeeDetails,
}
