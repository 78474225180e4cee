import { EngineError } from '@horde/engine/engine-error'
import { pullProblem } from '@horde/engine/engine-problem'
import { expect, test } from 'vitest'
import { pullFailure } from './pull-failure.ts'

const NAME = 'reg.example.com:5000/denied-eof:1'

/** Returns the sentence for an engine's error text about a pull. */
const sentenceFor = (text: string, { name = NAME, hasCredentials = false } = {}) => {
  const error = new EngineError(`pulling an image: ${text}`, { code: 'refused', problem: pullProblem(name)(text) })
  return pullFailure(name, error, hasCredentials)
}

test.each([
  ['manifest unknown', 'The registry has no image '],
  ['no basic auth credentials', 'asks for credentials'],
  ['connect: connection refused', 'does not answer'],
  ['no such host', 'has an unknown host name'],
  ['invalid reference format', 'does not accept'],
  ['unexpected EOF', 'broke off the transfer'],
  ['filesystem layer verification failed', 'other contents'],
  ['no space left on device', 'too full'],
  ['no matching manifest for linux/arm64/v8', 'is not for this machine'],
  ['toomanyrequests', 'too many requests'],
  ['x509: certificate signed by unknown authority', 'no valid certificate'],
  ['received unexpected HTTP status: 500', 'the engine could not pull it'],
])('says for %s: %s', (text, sentence) => {
  expect(sentenceFor(text)).toContain(sentence)
  expect(sentenceFor(text)).toContain(NAME)
})

test('distinguishes refused credentials from missing ones, and repeats nothing of the registry’s answer', () => {
  const denied = 'denied: <html>internal page</html>'
  expect(sentenceFor(denied, { hasCredentials: true })).toContain('refuses the credentials that this host has for it')
  const hub = `pull access denied for a, repository does not exist or may require 'docker login': denied`
  expect(sentenceFor(hub, { name: 'a:1' })).toBe('The registry has no image a:1, or it asks for credentials')
  expect(sentenceFor('error parsing HTTP 418 response body: <html>internal page</html>')).not.toContain('internal')
})

test('says that the engine does not answer when it could not be reached', () => {
  const error = new EngineError('pulling an image: nothing listens there', { code: 'unreachable' })
  expect(pullFailure(NAME, error, false)).toBe(`The image ${NAME} is not available: the engine does not answer`)
})
