import { expect, test } from 'vitest'
import { EngineError } from '../engine/container.ts'
import { pullFailure } from './pull-failure.ts'

const NAME = 'reg.example.com:5000/denied-eof:1'

// As engines 20.10 to 29 say it.
test.each([
  [404, `manifest for ${NAME} not found: manifest unknown: manifest unknown`, 'The registry has no image '],
  [404, `failed to resolve reference "${NAME}": ${NAME}: not found`, 'The registry has no image '],
  [500, `Head "http://x/v2/e/manifests/1": no basic auth credentials`, 'asks for credentials'],
  [500, 'unauthorized: authentication required', 'asks for credentials'],
  [500, 'dial tcp 127.0.0.1:5099: connect: connection refused', 'does not answer'],
  [500, 'Get "https://x/v2/": net/http: request canceled (Client.Timeout exceeded)', 'does not answer'],
  [500, 'dial tcp: lookup x on 10.0.0.1:53: no such host', 'is an unknown host'],
  [500, 'dial tcp: lookup x: Temporary failure in name resolution', 'is an unknown host'],
  [400, 'invalid reference format: repository name must be lowercase', 'for no name of an image'],
  [undefined, 'unexpected EOF', 'broke off in the middle'],
  [undefined, 'filesystem layer verification failed for digest sha256:00', 'something else'],
  [500, 'manifest verification failed for digest sha256:00', 'something else'],
  [undefined, 'write /var/lib/docker/tmp/x: no space left on device', 'too full'],
  [404, 'no matching manifest for linux/arm64/v8 in the manifest list entries', 'is not for this machine'],
  [500, 'toomanyrequests: You have reached your pull rate limit.', 'too many requests'],
  [500, 'x509: certificate signed by unknown authority', 'no good certificate'],
  [500, 'received unexpected HTTP status: 500', 'the engine could not pull it'],
])('%s %s: %s', (status, text, sentence) => {
  const told = pullFailure(NAME, new EngineError(text, { status }), false)
  expect(told).toContain(sentence)
  expect(told).toContain(NAME)
})

test('credentials that a registry refuses are another thing than none, and what it answered is not told', () => {
  const error = new EngineError('denied: <html>internal page</html>', { status: 500 })
  expect(pullFailure(NAME, error, true)).toContain('refuses the credentials that this host has for it')
  const hub = new EngineError(
    `pull access denied for a, repository does not exist or may require 'docker login': denied`,
  )
  expect(pullFailure('a:1', hub, false)).toBe('The registry has no image a:1, or it asks for credentials')
  const internal = new EngineError('error parsing HTTP 418 response body: <html>internal page</html>', { status: 500 })
  expect(pullFailure(NAME, internal, false)).not.toContain('internal')
})
