import type { Chain } from '@horde/chain/chain'
import { ChainError, type ChainErrorCode } from '@horde/chain/errors'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import { untilSaved } from '../db/until-saved.ts'
import { refuseSetting } from '../db/weight-settings.ts'
import { findLanded, type Landed, type LandedDeps, type SentSetting } from './landed.ts'
import { type RateLimitDeps, type RateLimitRequest, waitForRateLimit } from './rate-limit.ts'

/** How refusals that pass are met: so often, so far apart. */
const RETRY: BackoffOptions = { minMs: 2_000, maxMs: 30_000, factor: 2, jitterMs: 500 }
const ATTEMPTS = 5

/** These pass with the epochs, and not while somebody waits. */
const PASSING_LATER: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>(['TooManyCommits'])

export interface SubmitRequest extends RateLimitRequest {
  retry?: BackoffOptions
}

export type SubmitDeps = LandedDeps &
  RateLimitDeps & {
    chain: Pick<Chain, 'setWeights' | 'commitWeights' | 'commitSealed' | 'findCommit' | 'findWeights'>
  }

/**
 * Sends a setting that has been written down until it is in a block: a few times, where what is in the way passes. Before it
 * is sent again, the chain is asked whether the last time worked after all. One that can not be in any block is noted as
 * refused; one that may yet get into one stays planned, for the next call to see.
 *
 * @throws ChainError the last refusal; what `signal` was aborted with
 */
export async function submitSetting(
  setting: SentSetting,
  request: SubmitRequest,
  deps: SubmitDeps,
  signal: AbortSignal,
): Promise<Landed> {
  const delays = backoff(request.retry ?? RETRY)
  const course = { isOut: false }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await sendOnce(setting, course, deps, signal)
    } catch (error) {
      if (!passes(error) || attempt >= ATTEMPTS) return giveUp(setting, course, error, deps, signal)
      const delayMs = Math.round(delays.next().value)
      deps.log.warn({ err: error, code: error.code, attempt, delayMs }, 'weights not set, trying again')
      try {
        await deps.clock.sleep(delayMs, signal)
        const isLimit = error.code === 'SettingWeightsTooFast' && !course.isOut
        if (isLimit && (await waitForRateLimit(request, deps, signal)) !== undefined) throw error
      } catch (stopped) {
        return giveUp(setting, course, stopped, deps, signal)
      }
    }
  }
}

/** `isOut`: something was sent that may yet get into a block. */
interface Course {
  isOut: boolean
}

async function sendOnce(setting: SentSetting, course: Course, deps: SubmitDeps, signal: AbortSignal): Promise<Landed> {
  const landed = course.isOut ? await findLanded(setting, deps) : undefined
  if (landed) return landed
  signal.throwIfAborted()
  try {
    return await send(setting, deps)
  } catch (error) {
    if (error instanceof ChainError && error.mayTakeEffect) course.isOut = true
    throw error
  }
}

async function send(setting: SentSetting, deps: SubmitDeps): Promise<Landed> {
  const { chain, hotkey } = deps
  if (setting.method === 'set') return { state: 'included', ...(await chain.setWeights(setting, hotkey)) }
  if (setting.sealed) await chain.commitSealed(setting.sealed, hotkey)
  else await chain.commitWeights(setting.netuid, setting.commitHash ?? '', hotkey)
  const landed = await findLanded(setting, deps)
  if (landed) return landed
  throw Object.assign(new ChainError('InclusionUnknown', 'the chain does not show the commit'), { mayTakeEffect: true })
}

const passes = (error: unknown): error is ChainError =>
  error instanceof ChainError && error.retryable && !PASSING_LATER.has(error.code)

async function giveUp(
  setting: SentSetting,
  { isOut }: Course,
  error: unknown,
  deps: SubmitDeps,
  signal: AbortSignal,
): Promise<never> {
  const { code, chainName } = error instanceof ChainError ? error : { code: undefined, chainName: undefined }
  if (isOut) {
    deps.log.warn({ err: error, setting: setting.id, code }, 'weights may be in a block or not, the chain will say')
    throw error
  }
  const why = error instanceof Error ? error.message : String(error)
  const refusal = { at: new Date(deps.clock.now()), why }
  await untilSaved(() => refuseSetting(deps.db, setting.id, refusal), deps, signal)
  deps.log.error({ setting: setting.id, code, chainName }, 'weights refused')
  throw error
}
