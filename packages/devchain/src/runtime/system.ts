import { blake2AsU8a } from '../crypto.ts'
import type { sudoCalls } from '../pallets/sudo.ts'
import { sudoStorage } from '../pallets/sudo.ts'
import type { systemCalls } from '../pallets/system.ts'
import { BATCHED_CALLS_LIMIT, type utilityCalls } from '../pallets/utility.ts'
import { toHex } from '../scale/bytes.ts'
import { lookUp } from './accounts.ts'
import { type Context, type Origin, signerOf } from './context.ts'
import { SUDO, SYSTEM, UTILITY } from './events.ts'
import { type DispatchErrorValue, moduleError } from './failure.ts'
import type { Handlers } from './handlers.ts'

export const systemHandlers: Handlers<typeof systemCalls> = {
  remark: () => {},
  remark_with_event: (context, origin, { remark }) => {
    context.emit(SYSTEM, 'Remarked', { sender: signerOf(origin), hash: toHex(blake2AsU8a(remark)) })
  },
}

function ensureBatchSize(calls: unknown[]): void {
  if (calls.length > BATCHED_CALLS_LIMIT) throw moduleError('Utility', 'TooManyCalls')
}

export const utilityHandlers: Handlers<typeof utilityCalls> = {
  // Stops at the first refusal and keeps the calls before it.
  batch: (context, origin, { calls }) => {
    ensureBatchSize(calls)
    for (const [index, call] of calls.entries()) {
      const error = context.attempt(() => context.dispatch(origin, call))
      if (error) return context.emit(UTILITY, 'BatchInterrupted', { index, error })
      context.emit(UTILITY, 'ItemCompleted', null)
    }
    context.emit(UTILITY, 'BatchCompleted', null)
  },

  // Atomic: a refusal fails the whole extrinsic.
  batch_all: (context, origin, { calls }) => {
    ensureBatchSize(calls)
    for (const call of calls) {
      context.dispatch(origin, call)
      context.emit(UTILITY, 'ItemCompleted', null)
    }
    context.emit(UTILITY, 'BatchCompleted', null)
  },

  force_batch: (context, origin, { calls }) => {
    ensureBatchSize(calls)
    let failed = false
    for (const call of calls) {
      const error = context.attempt(() => context.dispatch(origin, call))
      failed ||= error !== null
      if (error) context.emit(UTILITY, 'ItemFailed', { error })
      else context.emit(UTILITY, 'ItemCompleted', null)
    }
    context.emit(UTILITY, failed ? 'BatchCompletedWithErrors' : 'BatchCompleted', null)
  },
}

function ensureSudo(context: Context, origin: Origin): void {
  if (signerOf(origin) !== context.store.get(sudoStorage.Key)) throw moduleError('Sudo', 'RequireSudo')
}

type Outcome = { type: 'Ok'; value: null } | { type: 'Err'; value: DispatchErrorValue }

function outcomeOf(error: DispatchErrorValue | null): Outcome {
  return error ? { type: 'Err', value: error } : { type: 'Ok', value: null }
}

export const sudoHandlers: Handlers<typeof sudoCalls> = {
  sudo: (context, origin, { call }) => {
    ensureSudo(context, origin)
    const error = context.attempt(() => context.dispatch('root', call))
    context.emit(SUDO, 'Sudid', { sudo_result: outcomeOf(error) })
  },

  sudo_as: (context, origin, { who, call }) => {
    ensureSudo(context, origin)
    const error = context.attempt(() => context.dispatch({ signer: lookUp(who) }, call))
    context.emit(SUDO, 'SudoAsDone', { sudo_result: outcomeOf(error) })
  },

  set_key: (context, origin, { new: address }) => {
    ensureSudo(context, origin)
    const old = context.store.get(sudoStorage.Key) ?? null
    const key = lookUp(address)
    context.store.set(sudoStorage.Key, [], key)
    context.emit(SUDO, 'KeyChanged', { old, new: key })
  },
}
