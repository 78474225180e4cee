/** The `fetch` that the library of Hugging Face gets: our own requests, with their checks, bounds and retries. */
import { follow } from '../../http/follow.ts'
import { RequestError, requestError } from '../../http/request.ts'
import { type RetryDeps, withRetries } from '../../http/retry.ts'

/** The largest answer about a repository, in bytes. A page of a thousand files has a third of a megabyte. */
const MAX_ANSWER_BYTES = 16_777_216

export interface Hub {
  /** Without a slash at its end. */
  endpoint: string
  /** The token of the job or of the operator. Secret: only the endpoint gets it. */
  token: string | undefined
  allowPrivate: boolean
}

/** What a request to an address of the hub or of its mirror may do; addresses elsewhere get no token. */
export function hubSource(url: string, { endpoint, token }: Hub) {
  const origin = new URL(endpoint).origin
  const isHub = URL.parse(url)?.origin === origin
  return { url, trustedOrigin: origin, authorization: isHub && token !== undefined ? `Bearer ${token}` : undefined }
}

/** Returns a `fetch` for GET. It rejects with RequestError when the answer is no success, and with TargetError. */
export function hubFetch(hub: Hub, deps: RetryDeps, signal: AbortSignal): typeof fetch {
  return async input => {
    const source = hubSource(input instanceof Request ? input.url : `${input}`, hub)
    return withRetries('download', deps, signal, async () => {
      const options = {
        headers: { Accept: 'application/json', 'Accept-Encoding': 'identity' },
        allowPrivate: hub.allowPrivate,
        isAnswer: (status: number) => status === 200,
      }
      const response = await follow(source, options, deps, signal)
      try {
        const { link } = response.headers
        const headers = { 'Content-Type': 'application/json', ...(link === undefined ? {} : { Link: `${link}` }) }
        return new Response(await whole(response), { headers })
      } catch (error) {
        signal.throwIfAborted()
        throw requestError(error)
      } finally {
        response.destroy()
      }
    })
  }
}

async function whole(chunks: AsyncIterable<Buffer>): Promise<Buffer<ArrayBuffer>> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new RequestError('its answer is too long', { retryable: false })
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}
