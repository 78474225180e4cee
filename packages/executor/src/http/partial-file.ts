/**
 * A file that arrives in parts: how many bytes are stored, and the validator by which the server recognises the file.
 */
import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { ByteLimitError } from '../zip/byte-limit.ts'
import { RequestError } from './request.ts'

/** How old a file must be when the server answers, in ms, so that no other version has the same Last-Modified. */
const STRONG_DATE_MS = 1_000

const PARTIAL = 206
const RANGE_NOT_SATISFIABLE = 416

export class PartialFile {
  readonly #file: FileHandle
  readonly #maxBytes: number
  #stored = 0
  /** The value for If-Range. Undefined when the server sends none that surely changes with the file: no resume then. */
  #validator: string | undefined
  /** How large the whole file is, where the server says so. */
  #total: number | undefined

  /** @param file opened for writing; the caller closes it */
  constructor(file: FileHandle, maxBytes: number) {
    this.#file = file
    this.#maxBytes = maxBytes
  }

  /** How many bytes are stored. */
  get stored(): number {
    return this.#stored
  }

  /** The request headers for the missing part; empty for the whole file. */
  get headers(): Record<string, string> {
    if (this.#stored === 0 || this.#validator === undefined) return {}
    return { Range: `bytes=${this.#stored}-`, 'If-Range': this.#validator }
  }

  /** The strong ETag of the stored file; undefined when the server sent none. */
  get etag(): string | undefined {
    return this.#validator?.startsWith('"') ? this.#validator : undefined
  }

  /** Whether a status is an answer for `add`: the whole file, the requested part, or that there is no such part. */
  isAnswer(status: number): boolean {
    return status === 200 || ([PARTIAL, RANGE_NOT_SATISFIABLE].includes(status) && this.headers.Range !== undefined)
  }

  /**
   * Appends the body of an answer. Rejects with ByteLimitError, RequestError, or an error of the disk or connection.
   * The received bytes are then kept if the server can recognise the file's version.
   */
  async add(response: IncomingMessage): Promise<void> {
    if (response.statusCode === RANGE_NOT_SATISFIABLE) {
      // The stored part is useless. The whole file is requested next.
      await this.#startOver()
      throw new RequestError('the file changed during the download', {
        retryable: true,
        status: RANGE_NOT_SATISFIABLE,
      })
    }
    const { 'content-length': length, 'content-encoding': encoding = 'identity' } = response.headers
    if (encoding.trim().toLowerCase() !== 'identity') {
      throw new RequestError('the server compressed it without being asked', { retryable: false })
    }
    if (response.statusCode === PARTIAL) await this.#checkPart(response)
    else await this.#begin(response)
    if (this.#stored + Number(length ?? 0) > this.#maxBytes) throw new ByteLimitError(this.#maxBytes)
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (this.#stored + chunk.length > this.#maxBytes) throw new ByteLimitError(this.#maxBytes)
      await this.#append(chunk)
    }
    if (this.#total !== undefined && this.#stored !== this.#total) {
      throw new RequestError('the server sent only a part of it', { retryable: true })
    }
  }

  async #append(chunk: Buffer): Promise<void> {
    for (let written = 0; written < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(chunk, written, chunk.length - written, this.#stored)
      written += bytesWritten
      this.#stored += bytesWritten
    }
  }

  /** Prepares for the whole file. */
  async #begin(response: IncomingMessage): Promise<void> {
    const { 'content-length': length } = response.headers
    await this.#startOver()
    this.#validator = validatorOf(response)
    this.#total = length === undefined ? undefined : Number(length)
  }

  /** Checks that a part is the requested one, and of the same file. */
  async #checkPart({ headers }: IncomingMessage): Promise<void> {
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/i.exec(headers['content-range']?.trim() ?? '') ?? []
    // The answer with a part may leave out its validator, which was in the request.
    const named = this.#validator?.startsWith('"') ? headers.etag : headers['last-modified']
    const isSame = named === undefined || named === this.#validator
    const isWhole = this.#total === undefined || total === '*' || Number(total) === this.#total
    if (Number(start) === this.#stored && isSame && isWhole) {
      if (total !== undefined && total !== '*') this.#total = Number(total)
      return
    }
    await this.#startOver()
    throw new RequestError('the server sent another part than the requested one', { retryable: true })
  }

  async #startOver(): Promise<void> {
    if (this.#stored > 0) await this.#file.truncate(0)
    this.#stored = 0
    this.#validator = undefined
    this.#total = undefined
  }
}

/** Returns the value for If-Range (RFC 9110, 13.1.5): a strong ETag, or a date that two versions cannot share. */
function validatorOf({ headers }: IncomingMessage): string | undefined {
  const { etag, 'last-modified': modified = '', date = '' } = headers
  if (etag !== undefined) return /^"[^"]*"$/.test(etag.trim()) ? etag.trim() : undefined
  return Date.parse(date) - Date.parse(modified) >= STRONG_DATE_MS ? modified : undefined
}
