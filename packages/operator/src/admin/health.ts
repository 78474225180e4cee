/**
 * What a service with an admin port answers at /health: whether it works, the names of what it lacks, and the same as
 * sentences. docs/decisions/0017-live-ready-and-lacking.md lists the readers.
 */
import { type Finding, findingSentence, type Verdict } from '@horde/kit/check/finding'
import type { Health } from '@horde/kit/http'
import type { Watched } from '../watch/watches.ts'

/** Something that a service lacks, or may lack soon. */
export type Lack = {
  /** Stable across releases: an update compares the names before and after. */
  name: string
  sentence: string
}

/** What a service itself lacks, apart from what its watches found. */
export type Lacks = {
  /** Keeps the service from being ready. */
  bad: Lack[]
  /** Leaves the service ready. */
  warned: Lack[]
}

export type ServiceHealth = Health & {
  /** False until every watch has looked once: before that, problems may be unknown. */
  complete: boolean
  /** The names of what keeps the service from being ready, each once. */
  bad: string[]
  /** The names of the warnings, each once. */
  warned: string[]
}

/** The name of the chain connection, and of everything that is missing because of it. */
export const CHAIN = 'chain'

/** The service is ready when neither it nor a watch names anything bad. Its own sentences come before the watches'. */
export function serviceHealth(own: Lacks, watches: readonly Watched[]): ServiceHealth {
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
