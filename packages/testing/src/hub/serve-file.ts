/** Answers GET and HEAD for a file as a web server does: with ranges, and conditions by ETag (RFC 9110). */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'

export interface ServedFile {
  contents: Buffer
  /** Strong, with its quotes. Undefined: the server sends none. */
  etag: string | undefined
}

export function serveFile(
  { contents, etag }: ServedFile,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
  further: OutgoingHttpHeaders = {},
): void {
  const all = { ...further, 'Accept-Ranges': 'bytes', ...(etag === undefined ? {} : { ETag: etag }) }
  if (etag !== undefined && headers['if-none-match'] === etag) {
    response.writeHead(304, all).end()
    return
  }
  const [, from = '', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  const isPart = from !== '' && (headers['if-range'] === undefined || headers['if-range'] === etag)
  const start = isPart ? Number(from) : 0
  const end = isPart && to !== '' ? Math.min(Number(to) + 1, contents.length) : contents.length
  const range = { 'Content-Range': `bytes ${start}-${end - 1}/${contents.length}` }
  response.writeHead(isPart ? 206 : 200, { ...all, ...(isPart ? range : {}), 'Content-Length': end - start })
  response.end(method === 'HEAD' ? undefined : contents.subarray(start, end))
}
