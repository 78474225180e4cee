import type { Chain } from '@horde/chain/chain'
import { ChainError, type ChainErrorCode } from '@horde/chain/errors'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import { untilSaved } from '../db/journal.ts'
import { refuseSetting } from '../db/weight-settings.ts'
import { type Confirmation, type ConfirmDeps, findConfirmation, type SentSetting } from './confirm-setting.ts'
import { type RateLimitDeps, type RateLimitRequest, waitForRateLimit } from './rate-limit.ts'

/** Delays between attempts after retryable errors. */
const RETRY: BackoffOptions = { minMs: 2_000, maxMs: 30_000, factor: 2, jitterMs: 500 }
const ATTEMPTS = 5

/** Errors that are retryable only in a later epoch, so that retrying within this call is useless. */
const RETRYABLE_LATER: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>(['TooManyCommits'])

export interface SubmitRequest extends RateLimitRequest {
  /** Delays between attempts. Default: 2 to 30 s. */
  retry?: BackoffOptions
}

export type SubmitDeps = ConfirmDeps &
  RateLimitDeps & {
    chain: Pick<Chain, 'setWeights' | 'commitWeights' | 'commitSealed' | 'findCommit' | 'findWeights'>
  }

/**
 * Sends a planned setting and returns its confirmation. Retries a few times after retryable errors, and asks the chain
 * before each retry whether the last attempt succeeded after all. When it gives up, it marks the setting as refused;
 * but a setting that a block may still include stays planned, for the next call to reconcile.
 *
 * @throws ChainError of the last attempt, or the signal's reason
 */
export async function submitSetting(
  setting: SentSetting,
  request: SubmitRequest,
  deps: SubmitDeps,
  signal: AbortSignal,
): Promise<Confirmation> {
  const delays = backoff(request.retry ?? RETRY)
  const progress = { mayBeIncluded: false }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await findOrSend(setting, progress, deps, signal)
    } catch (error) {
      if (!isRetryable(error) || attempt >= ATTEMPTS) return giveUp(setting, progress, error, deps, signal)
      const delayMs = Math.round(delays.next().value)
      deps.log.warn({ err: error, code: error.code, attempt, delayMs }, 'weights not set, trying again')
      try {
        await deps.clock.sleep(delayMs, signal)
        const isLimit = error.code === 'SettingWeightsTooFast' && !progress.mayBeIncluded
        if (isLimit && (await waitForRateLimit(request, deps, signal)) !== undefined) throw error
      } catch (stopped) {
        return giveUp(setting, progress, stopped, deps, signal)
      }
    }
  }
}

/** `mayBeIncluded`: an extrinsic was sent that a block may still include. */
interface Progress {
  mayBeIncluded: boolean
}

/** Looks for an earlier attempt's outcome, and sends the setting if there is none. */
async function findOrSend(
  setting: SentSetting,
  progress: Progress,
  deps: SubmitDeps,
  signal: AbortSignal,
): Promise<Confirmation> {
  const earlier = progress.mayBeIncluded ? await findConfirmation(setting, deps) : undefined
  if (earlier) return earlier
  signal.throwIfAborted()
  try {
    return await send(setting, deps)
  } catch (error) {
    if (error instanceof ChainError && error.mayTakeEffect) progress.mayBeIncluded = true
    throw error
  }
}

/** Sends the setting once. */
async function send(setting: SentSetting, deps: SubmitDeps): Promise<Confirmation> {
  const { chain, hotkey } = deps
  if (setting.method === 'set') return { state: 'included', ...(await chain.setWeights(setting, hotkey)) }
  if (setting.sealed) await chain.commitSealed(setting.sealed, hotkey)
  else await chain.commitWeights(setting.netuid, setting.commitHash ?? '', hotkey)
  const confirmation = await findConfirmation(setting, deps)
  if (confirmation) return confirmation
  throw Object.assign(new ChainError('InclusionUnknown', 'the chain does not show the commit'), { mayTakeEffect: true })
}

const isRetryable = (error: unknown): error is ChainError =>
  error instanceof ChainError && error.retryable && !RETRYABLE_LATER.has(error.code)

/** Marks the setting as refused, unless a block may still include it, and throws the error. */
async function giveUp(
  setting: SentSetting,
  { mayBeIncluded }: Progress,
  error: unknown,
  deps: SubmitDeps,
  signal: AbortSignal,
): Promise<never> {
  const { code, chainName } = error instanceof ChainError ? error : { code: undefined, chainName: undefined }
  if (mayBeIncluded) {
    deps.log.warn({ err: error, setting: setting.id, code }, 'unknown whether a block includes the weights')
    throw error
  }
  const why = error instanceof Error ? error.message : String(error)
  const refusal = { at: new Date(deps.clock.now()), why }
  await untilSaved(() => refuseSetting(deps.db, setting.id, refusal), deps, signal)
  deps.log.error({ setting: setting.id, code, chainName }, 'weights refused')
  throw error
}
