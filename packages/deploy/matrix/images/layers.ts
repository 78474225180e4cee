/** Searches the layers of an image for a text, such as a certificate authority made for the search. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Creates an unused certificate authority. `line` is a line of `pem` that identifies it. */
export async function createAuthority(): Promise<{ pem: string; line: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'authority-'))
  try {
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'authority.pem')]
    const options = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=unused test authority']
    await run('openssl', ['req', ...options, '-keyout', key, '-out', certificate])
    const pem = await readFile(certificate, 'utf8')
    return { pem, line: pem.split('\n')[5] ?? '' }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Counts the lines of an image's layers and settings that contain `text`. */
export async function countInLayers(image: string, text: string): Promise<number> {
  const save = spawn('docker', ['save', image], { stdio: ['ignore', 'pipe', 'inherit'] })
  const grep = spawn('grep', ['--text', '--count', '--fixed-strings', '--', text], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  save.stdout.pipe(grep.stdin)
  let printed = ''
  grep.stdout.on('data', part => {
    printed += part
  })
  const [[saved]] = await Promise.all([once(save, 'close'), once(grep, 'close')])
  if (saved !== 0) throw new Error(`docker save ${image} ended with ${saved}`)
  return Number(printed)
}
