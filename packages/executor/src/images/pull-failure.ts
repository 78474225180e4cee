/** Why an image could not be pulled, in one sentence of ours. */
import { EngineError } from '../engine/container.ts'

/**
 * What engines say, by what it means; they have no codes for it. The first that fits counts. Their own texts repeat what
 * a registry answered, and a job's author chooses the registry: whoever could read them could read what any server in
 * this network says. So nobody is told more than these sentences.
 */
const MEANINGS: readonly [RegExp, (name: string, hasCredentials: boolean) => string][] = [
  [/no space left on device|disk quota exceeded/i, name => `The disk of this host is too full for the image ${name}`],
  [
    /toomanyrequests|too many requests|rate limit/i,
    name => `The registry of the image ${name} gives no more for now: too many requests`,
  ],
  [
    /repository does not exist or may require/i,
    (name, has) => `The registry has no image ${name}, or it asks for ${has ? 'other credentials' : 'credentials'}`,
  ],
  [
    /unauthorized|no basic auth credentials|authentication required|denied|forbidden|incorrect username/i,
    (name, hasCredentials) =>
      hasCredentials
        ? `The registry of the image ${name} refuses the credentials that this host has for it`
        : `The registry of the image ${name} asks for credentials, and this host has none for it`,
  ],
  [/no matching manifest|does not match the specified platform/i, name => `The image ${name} is not for this machine`],
  [/no such host|server misbehaving|name resolution/i, name => `The registry of the image ${name} is an unknown host`],
  [
    /verification failed|failed precondition|unexpected commit digest|does not match|invalid checksum/i,
    name => `The registry gives something else for the image ${name} than its digest says`,
  ],
  [/x509|certificate|HTTP response to HTTPS/i, name => `The registry of the image ${name} has no good certificate`],
  [
    /unexpected EOF|unknown blob|connection reset|broken pipe|\bEOF\b|aborted/i,
    name => `The registry of the image ${name} broke off in the middle`,
  ],
  [
    /connection refused|no route to host|unreachable|time-?out|deadline exceeded|i\/o/i,
    name => `The registry of the image ${name} does not answer`,
  ],
  [/not found|manifest unknown|name unknown/i, name => `The registry has no image ${name}`],
  [/invalid reference format|repository name must/i, name => `The engine takes ${name} for no name of an image`],
]

/** @param hasCredentials whether the registry was told any */
export function pullFailure(name: string, error: unknown, hasCredentials: boolean): string {
  // What the image is called is not what befell it.
  const text = (error as Error).message.replaceAll(name, '').replace(/"https?:[^"\s]*"/g, '')
  const meaning = MEANINGS.find(([pattern]) => pattern.test(text))?.[1]
  if (meaning !== undefined) return meaning(name, hasCredentials)
  const answered = error instanceof EngineError && error.status === undefined ? 'does not answer' : 'could not pull it'
  return `The image ${name} is not to be had: the engine ${answered}`
}
