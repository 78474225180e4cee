import { expect, test } from 'vitest'
import { createProblem, pullProblem, startProblem } from './engine-problem.ts'

const NAME = 'reg.example.com:5000/denied-eof:1'

// As engines 20.10 to 29 say it.
test.each([
  [`manifest for ${NAME} not found: manifest unknown: manifest unknown`, 'missing'],
  [`failed to resolve reference "${NAME}": ${NAME}: not found`, 'missing'],
  ['Head "http://x/v2/e/manifests/1": no basic auth credentials', 'denied'],
  ['unauthorized: authentication required', 'denied'],
  ["pull access denied for a, repository does not exist or may require 'docker login': denied", 'missing-or-denied'],
  ['dial tcp 127.0.0.1:5099: connect: connection refused', 'no-answer'],
  ['Get "https://x/v2/": net/http: request canceled (Client.Timeout exceeded)', 'no-answer'],
  ['dial tcp: lookup x on 10.0.0.1:53: no such host', 'unknown-host'],
  ['dial tcp: lookup x: Temporary failure in name resolution', 'unknown-host'],
  ['invalid reference format: repository name must be lowercase', 'invalid-name'],
  ['unexpected EOF', 'broken-off'],
  ['filesystem layer verification failed for digest sha256:00', 'wrong-digest'],
  ['manifest verification failed for digest sha256:00', 'wrong-digest'],
  ['write /var/lib/docker/tmp/x: no space left on device', 'disk-full'],
  ['no matching manifest for linux/arm64/v8 in the manifest list entries', 'other-platform'],
  ['toomanyrequests: You have reached your pull rate limit.', 'rate-limited'],
  ['x509: certificate signed by unknown authority', 'bad-certificate'],
  ['received unexpected HTTP status: 500', undefined],
])('a pull that ends with "%s" failed because of: %s', (text, problem) => {
  expect(pullProblem(NAME)(text)).toBe(problem)
})

test.each([
  [
    'OCI runtime create failed: runc create failed: unable to start container process: exec: "/no": stat /no: ' +
      'no such file or directory: unknown',
    'cannot-run',
  ],
  ['OCI runtime create failed: container_linux.go:380: exec: "no": executable file not found in $PATH', 'cannot-run'],
  ['crun: executable file `no` not found in $PATH: No such file or directory', 'cannot-run'],
  ['could not select device driver "nvidia" with capabilities: [[gpu]]', undefined],
  ['error mounting "/a" to rootfs at "/b": no such file or directory: unknown', undefined],
])('a start that is refused with "%s" failed because of: %s', (text, problem) => {
  expect(startProblem()(text)).toBe(problem)
})

test.each([
  ['/no', 'exec: "/no": stat /no: no such file or directory: unknown', 'cannot-run'],
  ['/no', 'failed to load /no: no such file or directory', 'cannot-run'],
  ['/no', 'exec: "/no-hook": no such file or directory', undefined],
  ['df', 'exec: "df": executable file not found in $PATH: unknown', 'cannot-run'],
  ['df', 'exec: "nvidia-container-runtime-hook": executable file not found in $PATH', undefined],
])('the start of %s that is refused with "%s" failed because of: %s', (program, text, problem) => {
  expect(startProblem(program)(text)).toBe(problem)
})

test.each([
  ['No such image: a:1', 'no-image'],
  ['failed to copy: write /x: no space left on device', 'no-space'],
  ['Cannot mkdir: /etc/passwd is not a directory', 'no-folder'],
  ['openat /a/b: file name too long', 'no-folder'],
  ['invalid mount config', undefined],
])('a container that is refused with "%s" failed because of: %s', (text, problem) => {
  expect(createProblem(text)).toBe(problem)
})
