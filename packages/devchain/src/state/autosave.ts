import type { Log } from '@horde/kit/log'
import type { Chain } from '../chain/chain.ts'
import { saveState } from './state-file.ts'

/** The least time between two saves after blocks, in ms. Disposing always saves. */
const SAVE_EVERY_MS = 1000

/** Saves the chain to a file until disposed of; the last state is on the disk then. */
export function autosave(chain: Chain, path: string, log: Log): AsyncDisposable {
  let timer: NodeJS.Timeout | undefined
  let saving = Promise.resolve()

  const save = () => {
    saving = saving.then(() => saveState(path, chain.snapshot()))
    return saving
  }
  const stop = chain.onBlock(() => {
    timer ??= setTimeout(() => {
      timer = undefined
      save().catch(err => {
        saving = Promise.resolve()
        log.error({ err }, 'the state could not be saved')
      })
    }, SAVE_EVERY_MS)
  })
  return {
    [Symbol.asyncDispose]: async () => {
      stop()
      clearTimeout(timer)
      await save()
    },
  }
}
