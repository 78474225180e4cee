import { ChainError } from '@horde/chain/errors'
import { DatabaseError } from '@horde/kit/database'
import { BusyError } from '../app.ts'
import { BenchmarkError } from '../benchmarks/load-benchmark.ts'
import { UnknownMinerError } from '../miner/choose.ts'

const EXPECTED = [BenchmarkError, BusyError, ChainError, DatabaseError, UnknownMinerError]

/** Returns whether an error's message is enough for an operator, without a stack. */
export function isExpected(error: unknown): error is Error {
  return EXPECTED.some(each => error instanceof each)
}
