import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

/**
 * Returns the hash of a file in hex.
 *
 * @param head is hashed before the contents
 */
export async function fileDigest(path: string, algorithm: 'sha256' | 'sha1', head = ''): Promise<string> {
  const hash = createHash(algorithm).update(head)
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
