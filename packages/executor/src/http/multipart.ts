/** Builds a form with one file, as browsers send it (multipart/form-data, RFC 7578). */
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'

export interface FileForm {
  fields: Record<string, string>
  /** The name of the field that holds the file. */
  fileField: string
  fileName: string
  fileType: string
  path: string
  /** The file's size in bytes. */
  size: number
}

export interface FormBody {
  contentType: string
  contentLength: number
  open(): Readable
}

/**
 * Returns the form as a body of known length, which storage services require. The fields come before the file.
 */
export function formBody(form: FileForm): FormBody {
  const boundary = `compute-horde-${randomUUID()}`
  const fields = Object.entries(form.fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`,
  )
  const file =
    `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(form.fileField)}"; ` +
    `filename="${quoted(form.fileName)}"\r\nContent-Type: ${form.fileType}\r\n\r\n`
  const head = Buffer.from(fields.join('') + file)
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    contentLength: head.length + form.size + tail.length,
    open: () => Readable.from(parts(head, form.path, tail), { objectMode: false }),
  }
}

async function* parts(head: Buffer, path: string, tail: Buffer): AsyncGenerator<Buffer> {
  yield head
  yield* createReadStream(path)
  yield tail
}

/** Escapes a name so that it ends neither its quotes nor its line. */
function quoted(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}
