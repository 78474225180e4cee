import { RpcError } from '../rpc.ts'

/** Substrate's code for a state that is not there. */
const NO_STATE = 4003

/** Reads a block's state; undefined when the node does not keep it any more. What else a node answers is thrown on. */
export async function unlessForgotten<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof RpcError && isForgotten(error)) return undefined
    throw error
  }
}

/** By the code, or by Substrate's words. */
const isForgotten = ({ code, message }: RpcError): boolean =>
  code === NO_STATE || /discarded|pruned|unknown ?block|header (was )?not found/i.test(message)
