/**
 * Keeps the miner's manifest on the chain up to date, behind what else its hotkey has committed there. Validators may
 * read it instead of asking the miner.
 */
import type { Chain } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { Log } from '@horde/kit/log'
import {
  formatManifest,
  MAX_COMMITMENT_BYTES,
  type Manifest,
  mergeManifest,
  parseManifest,
} from '@horde/protocol/v2026/manifest-commitment'

/** The outcome, for the status page and metrics. */
export type ManifestState = {
  /** The manifest that the chain has, as `A3;S2`. Undefined: none, or not known yet. */
  readonly committed: string | undefined
  /** The block that committed it. */
  readonly block: number | undefined
  /** Whether that is the manifest of now. Undefined before the chain has answered. */
  readonly isCurrent: boolean | undefined
  /** What keeps the manifest from the chain, as a sentence. */
  readonly lastError: string | undefined
}

export type ManifestCommitterOptions = {
  chain: Pick<Chain, 'commitment' | 'setCommitment'>
  netuid: number
  hotkey: Hotkey
  /** Returns the manifest of now. */
  manifest(): readonly { executor_class: string; count: number }[]
  log: Log
}

/** What the hotkey has committed cannot be kept beside the manifest. */
class CommitmentInTheWayError extends Error {
  override readonly name = 'CommitmentInTheWayError'
}

export class ManifestCommitter {
  readonly #options: ManifestCommitterOptions
  /** What the chain has. Undefined before its first answer; null: no manifest. */
  #onChain: { manifest: string; block: number } | null | undefined
  #lastError: string | undefined

  constructor(options: ManifestCommitterOptions) {
    this.#options = options
  }

  state(): ManifestState {
    const onChain = this.#onChain
    return {
      committed: onChain?.manifest,
      block: onChain?.block,
      isCurrent: onChain === undefined ? undefined : onChain?.manifest === this.#wanted(),
      lastError: this.#lastError,
    }
  }

  /**
   * Commits the manifest unless the chain has it. An error that needs attention is logged once. Each round tries again.
   *
   * @throws errors that may pass by themselves, such as an outage of the chain
   */
  async run(): Promise<void> {
    try {
      await this.#commit()
      this.#lastError = undefined
    } catch (error) {
      this.#report(error as Error)
    }
  }

  #wanted(): string {
    return formatManifest(manifestOf(this.#options.manifest()))
  }

  async #commit(): Promise<void> {
    const { chain, netuid, hotkey, log } = this.#options
    const wanted = this.#wanted()
    const stored = await chain.commitment(netuid, hotkey.ss58)
    this.#onChain = committedManifest(stored)
    if (this.#onChain?.manifest === wanted) return
    const text = textWith(stored === null ? '' : stored.text, wanted)
    const { block } = await chain.setCommitment(netuid, text, hotkey)
    this.#onChain = { manifest: wanted, block }
    log.info({ manifest: wanted, block }, 'manifest committed to the chain')
  }

  #report(error: Error): void {
    const isNew = error.message !== this.#lastError
    this.#lastError = error.message
    const { log } = this.#options
    const isEarly = error instanceof ChainError && error.code === 'CommittingTooFast'
    const isRefusal = error instanceof CommitmentInTheWayError || (error instanceof ChainError && !error.retryable)
    if (!isEarly && !isRefusal) throw error
    if (isNew && isEarly) log.info({ why: error.message }, 'manifest waits: too much was committed lately')
    if (isNew && isRefusal) log.error({ why: error.message }, 'manifest cannot be committed')
  }
}

/** Returns the executors of each class that the network knows. */
export function manifestOf(counts: readonly { executor_class: string; count: number }[]): Manifest {
  const manifest: Record<string, number> = {}
  for (const { executor_class: name, count } of counts) manifest[name] = (manifest[name] ?? 0) + count
  return manifest
}

/** Returns the manifest in a commitment, written as this miner writes it; null if there is none. */
export function committedManifest(
  commitment: { text: string | null; block: number } | null,
): { manifest: string; block: number } | null {
  if (!commitment?.text?.includes('<M:')) return null
  return { manifest: formatManifest(parseManifest(commitment.text)), block: commitment.block }
}

/** Returns what to commit. @throws CommitmentInTheWayError */
function textWith(before: string | null, manifest: string): string {
  if (before === null)
    throw new CommitmentInTheWayError('the hotkey has committed something that is no text, and the miner leaves it')
  const text = mergeManifest(before, manifest)
  if (text !== undefined) return text
  throw new CommitmentInTheWayError(
    `the manifest does not fit behind the ${Buffer.byteLength(before)} bytes that the hotkey has committed: ` +
      `the chain takes ${MAX_COMMITMENT_BYTES}`,
  )
}
