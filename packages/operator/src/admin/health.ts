/**
 * What a service with an admin port says at /health: whether it works, what it lacks by name, and the same as sentences.
 * docs/decisions/0017-live-ready-and-lacking.md says who reads what.
 */

import { type Finding, findingSentence, type Verdict } from '@horde/kit/check/finding'
import type { Health } from '@horde/kit/http'
import type { Watched } from '../watch/watches.ts'

/** Something that a service lacks, or may come to lack. */
export type Lack = {
  /** The same for the same thing in every release: an update compares names. */
  name: string
  sentence: string
}

export type ServiceHealth = Health & {
  /** False until every watch has looked once: what is bad may not be known yet. */
  complete: boolean
  /** Names of what keeps it from being ready, each once. */
  bad: string[]
  /** Names of what may become so. */
  warned: string[]
}

/** The name of the connection to the chain, and of all that is missing because of it. */
export const CHAIN = 'chain'

/**
 * Ready: neither the service nor a watch names anything bad. Warnings leave it ready.
 *
 * @param own what the service itself lacks, and what it warns of; said before what the watches found
 */
export function serviceHealth(own: { bad: Lack[]; warned: Lack[] }, watches: readonly Watched[]): ServiceHealth {
  const bad = [...own.bad, ...lacksOf(watches, 'bad')]
  const warned = [...own.warned, ...lacksOf(watches, 'warn')]
  return {
    live: true,
    ready: bad.length === 0,
    complete: watches.every(({ lookedAtMs }) => lookedAtMs !== null),
    bad: namesOf(bad),
    warned: namesOf(warned),
    reasons: [...bad, ...warned].map(({ sentence }) => sentence),
  }
}

function lacksOf(watches: readonly Watched[], verdict: Verdict): Lack[] {
  const found: Finding[] = watches.flatMap(({ findings }) => findings.filter(each => each.verdict === verdict))
  return found.map(finding => ({ name: finding.subject, sentence: findingSentence(finding) }))
}

function namesOf(lacks: readonly Lack[]): string[] {
  return [...new Set(lacks.map(({ name }) => name))]
}
