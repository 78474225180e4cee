/** A certificate for 127.0.0.1 that nobody vouches for, made anew: no key lies in the repository. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class TestCertificate implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'test-certificate-'))
  /** Of the certificate, for whom it is to be trusted by. */
  readonly path = join(this.#folder, 'cert.pem')
  readonly key: Buffer
  readonly cert: Buffer

  constructor() {
    const keyPath = join(this.#folder, 'key.pem')
    const about = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1', '-nodes']
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', keyPath]
    execFileSync('openssl', ['req', '-x509', ...about, ...key, '-out', this.path], { stdio: 'ignore' })
    this.key = readFileSync(keyPath)
    this.cert = readFileSync(this.path)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true })
  }
}
