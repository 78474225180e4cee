/** Says why an image could not be pulled, in one sentence of our own. */
import { EngineError, isUnanswered } from '@horde/engine/engine-error'
import type { EngineProblem } from '@horde/engine/engine-problem'

/**
 * The sentences for a job's author. The engine's own text repeats what a registry answered, and a job's author chooses
 * the registry: with that text an author could read what any server in this network says. So a sentence holds nothing
 * of it.
 */
const SENTENCES: Partial<Record<EngineProblem, (name: string, hasCredentials: boolean) => string>> = {
  'disk-full': name => `The disk of this host is too full for the image ${name}`,
  'rate-limited': name => `The registry of the image ${name} refuses for now: too many requests`,
  'missing-or-denied': (name, hasCredentials) =>
    `The registry has no image ${name}, or it asks for ${hasCredentials ? 'other credentials' : 'credentials'}`,
  denied: (name, hasCredentials) =>
    hasCredentials
      ? `The registry of the image ${name} refuses the credentials that this host has for it`
      : `The registry of the image ${name} asks for credentials, and this host has none for it`,
  'other-platform': name => `The image ${name} is not for this machine`,
  'unknown-host': name => `The registry of the image ${name} has an unknown host name`,
  'wrong-digest': name => `The registry sends other contents for the image ${name} than its digest says`,
  'bad-certificate': name => `The registry of the image ${name} has no valid certificate`,
  'broken-off': name => `The registry of the image ${name} broke off the transfer`,
  'no-answer': name => `The registry of the image ${name} does not answer`,
  missing: name => `The registry has no image ${name}`,
  'invalid-name': name => `The engine does not accept ${name} as the name of an image`,
}

/**
 * Returns the sentence for the error of a pull.
 *
 * @param hasCredentials whether the registry was sent any
 */
export function pullFailure(name: string, error: unknown, hasCredentials: boolean): string {
  const problem = error instanceof EngineError ? error.problem : undefined
  const sentence = problem && SENTENCES[problem]
  if (sentence !== undefined) return sentence(name, hasCredentials)
  const reason = isUnanswered(error) ? 'does not answer' : 'could not pull it'
  return `The image ${name} is not available: the engine ${reason}`
}
