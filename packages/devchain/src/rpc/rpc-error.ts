import { PoolError } from '../chain/pool-error.ts'
import { ScaleError } from '../scale/bytes.ts'
import { BadFormatError, UnsignedError } from '../transactions/extrinsic.ts'
import { INVALID_TEXTS, type Invalidity, InvalidTransaction } from '../transactions/invalid.ts'

/** An error as the answer to a request, with Substrate's code, message and data. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number
  readonly data: unknown

  constructor(code: number, message: string, data?: unknown) {
    super(message)
    this.code = code
    this.data = data
  }
}

export const CODES = {
  parse: -32_700,
  request: -32_600,
  method: -32_601,
  params: -32_602,
  internal: -32_603,
  tooManySubscriptions: -32_006,
  tooBig: -32_008,
  badFormat: 1001,
  verification: 1002,
  invalid: 1010,
  unknownValidity: 1011,
  alreadyImported: 1013,
  priority: 1014,
  dropped: 1016,
  client: 4003,
} as const

/** The most characters of one answer, or of all answers to a batch. Substrate's default. */
export const MAX_ANSWER_LENGTH = 15 * 1024 * 1024

export function tooBig(): RpcError {
  return new RpcError(CODES.tooBig, 'Response is too big', `Exceeded max limit of ${MAX_ANSWER_LENGTH}`)
}

const UNKNOWN_TEXTS = {
  CannotLookup: 'Could not lookup information required to validate the transaction',
  NoUnsignedValidator: 'Could not find an unsigned validator for the unsigned transaction',
}

/** Converts the refusal of a submitted extrinsic to an RpcError; rethrows any other error. */
export function submissionError(error: unknown): RpcError {
  if (error instanceof InvalidTransaction) return invalidError(error.invalidity)
  if (error instanceof PoolError) return poolError(error)
  if (error instanceof BadFormatError) return new RpcError(CODES.badFormat, 'Extrinsic has invalid format')
  if (error instanceof UnsignedError) {
    return new RpcError(CODES.unknownValidity, 'Unknown Transaction Validity', UNKNOWN_TEXTS.NoUnsignedValidator)
  }
  if (error instanceof ScaleError) {
    const message = `Runtime error: the extrinsic cannot be decoded: ${error.message}`
    return new RpcError(CODES.verification, 'Verification Error', message)
  }
  throw error
}

function invalidError(invalidity: Invalidity): RpcError {
  if (invalidity === 'CannotLookup') {
    return new RpcError(CODES.unknownValidity, 'Unknown Transaction Validity', UNKNOWN_TEXTS.CannotLookup)
  }
  const data = typeof invalidity === 'string' ? INVALID_TEXTS[invalidity] : { invalid: invalidity }
  return new RpcError(CODES.invalid, 'Invalid Transaction', data)
}

function poolError({ reason, detail }: PoolError): RpcError {
  if (reason === 'AlreadyImported') {
    return new RpcError(CODES.alreadyImported, 'Transaction Already Imported', `[${detail}]`)
  }
  if (reason === 'TooLowPriority') {
    const data = 'The transaction has too low priority to replace another transaction already in the pool.'
    return new RpcError(CODES.priority, `Priority is too low: (${detail})`, data)
  }
  const data = "The transaction couldn't enter the pool because of the limit"
  return new RpcError(CODES.dropped, 'Immediately Dropped', data)
}

export function unknownBlock(hash: string): RpcError {
  return new RpcError(CODES.client, 'Client error: UnknownBlock', `State already discarded for ${hash}`)
}
