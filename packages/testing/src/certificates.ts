/** Makes certificate authorities and certificates with new keys, so that the repository contains no key. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const openssl = (...args: string[]) => run('openssl', args)
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

export class TestAuthority {
  /** The path of its certificate. */
  readonly ca: string
  readonly #folder: string
  readonly #name: string

  private constructor(folder: string, name: string) {
    this.ca = join(folder, `${name}-ca.pem`)
    this.#folder = folder
    this.#name = name
  }

  /** @param folder gets all its files */
  static async make(folder: string, name: string): Promise<TestAuthority> {
    const authority = new TestAuthority(folder, name)
    const about = ['-subj', `/CN=${name}`, '-days', '2', '-keyout', authority.#path('ca-key'), '-out', authority.ca]
    await openssl('req', '-x509', ...KEY, ...about)
    return authority
  }

  /** Makes a certificate for one side of a connection. Returns its path and the path of its key. */
  async certify(
    name: string,
    use: 'serverAuth' | 'clientAuth',
    address?: string,
  ): Promise<{ cert: string; key: string }> {
    const [cert, key, request, extensions] = ['cert', 'key', 'csr', 'ext'].map(kind => this.#path(`${name}-${kind}`))
    if (!cert || !key || !request || !extensions) throw new Error('unreachable')
    await writeFile(extensions, `extendedKeyUsage=${use}\n${address ? `subjectAltName=IP:${address}\n` : ''}`)
    await openssl('req', ...KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', request)
    const signing = ['-CA', this.ca, '-CAkey', this.#path('ca-key'), '-CAcreateserial', '-days', '2']
    await openssl('x509', '-req', '-in', request, ...signing, '-extfile', extensions, '-out', cert)
    return { cert, key }
  }

  #path(what: string): string {
    return join(this.#folder, `${this.#name}-${what}.pem`)
  }
}

/** A self-signed certificate for 127.0.0.1. */
export class TestCertificate implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'test-certificate-'))
  /** The path of the certificate, for peers that must trust it. */
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
