/** Stores a job's stdout and stderr in two files. */
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Demultiplexer, type OutputPiece } from '@horde/engine/container-output'

const NEW_LINE = 10

/** Whether a job's output was read to its end, or up to the cap. */
export type CaptureEnd = 'complete' | 'over the cap'

export class CapturedOutput implements AsyncDisposable {
  readonly stdoutPath: string
  readonly stderrPath: string
  readonly #files: Record<OutputPiece['stream'], FileHandle>
  readonly #written = { stdout: 0, stderr: 0 }
  #bytes = 0
  #lineIsOpen = false

  private constructor(paths: { stdout: string; stderr: string }, files: Record<OutputPiece['stream'], FileHandle>) {
    this.stdoutPath = paths.stdout
    this.stderrPath = paths.stderr
    this.#files = files
  }

  /** Opens the two files in an existing folder. */
  static async open(folder: string): Promise<CapturedOutput> {
    const paths = { stdout: join(folder, 'stdout.txt'), stderr: join(folder, 'stderr.txt') }
    const stdout = await open(paths.stdout, 'w', 0o600)
    return new CapturedOutput(paths, { stdout, stderr: await open(paths.stderr, 'w', 0o600) })
  }

  /**
   * Reads an attached stream to its end, or up to `maxBytes` of both texts together. It reads one chunk at a time, so a
   * job that prints faster than the disk writes has to wait.
   */
  async collect(source: AsyncIterable<Buffer>, maxBytes: number): Promise<CaptureEnd> {
    const demultiplexer = new Demultiplexer()
    for await (const chunk of source) {
      const pieces = demultiplexer.split(chunk)
      const kept = this.#upTo(maxBytes, pieces)
      await this.#write(
        kept.filter(piece => piece.stream === 'stdout').map(piece => piece.bytes),
        'stdout',
      )
      await this.#write(
        kept.filter(piece => piece.stream === 'stderr').map(piece => piece.bytes),
        'stderr',
      )
      if (kept.length < pieces.length) return 'over the cap'
    }
    return 'complete'
  }

  /** How many bytes of each text have arrived. */
  get written(): Record<OutputPiece['stream'], number> {
    return { ...this.#written }
  }

  /** Returns both texts. Bytes that are not UTF-8 become U+FFFD. */
  async texts(): Promise<{ stdout: string; stderr: string }> {
    const [stdout, stderr] = await Promise.all([readFile(this.stdoutPath), readFile(this.stderrPath)])
    return { stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') }
  }

  /** Appends a line of the executor's own to stderr. */
  async note(sentence: string): Promise<void> {
    await this.#files.stderr.appendFile(`${this.#lineIsOpen ? '\n' : ''}${sentence}\n`)
    this.#lineIsOpen = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#files.stdout.close(), this.#files.stderr.close()])
  }

  #upTo(maxBytes: number, pieces: OutputPiece[]): OutputPiece[] {
    const kept: OutputPiece[] = []
    for (const piece of pieces) {
      if (this.#bytes + piece.bytes.length > maxBytes) return kept
      this.#bytes += piece.bytes.length
      kept.push(piece)
    }
    return kept
  }

  async #write(buffers: Buffer[], stream: OutputPiece['stream']): Promise<void> {
    if (buffers.length === 0) return
    const bytes = Buffer.concat(buffers)
    await this.#files[stream].appendFile(bytes)
    this.#written[stream] += bytes.length
    if (stream === 'stderr') this.#lineIsOpen = bytes.at(-1) !== NEW_LINE
  }
}
