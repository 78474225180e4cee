import { buffer } from 'node:stream/consumers'
import { ZipFile } from 'yazl'

/** A zip for /volume with one file, in base64. */
export async function zipOf(name: string, contents: string): Promise<string> {
  const zip = new ZipFile()
  zip.addBuffer(Buffer.from(contents), name, { compress: false })
  zip.end()
  return (await buffer(zip.outputStream)).toString('base64')
}
