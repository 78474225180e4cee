import { open } from 'node:fs/promises'
import { JobFailure } from '../../job/job-failure.ts'
import type { InputBudget } from '../limits/input-budget.ts'

const NOT_BASE64 = 'Input volume is not valid base64'

/** How much base64 is decoded at once, in characters. */
const PIECE_CHARACTERS = 1_048_576

/**
 * Decodes base64 to the disk piece by piece, because the frame already holds the whole input in memory. Rejects with
 * JobFailure.
 */
export async function writeBase64(contents: string, path: string, budget: InputBudget): Promise<void> {
  await using file = await open(path, 'w', 0o600)
  for (const piece of base64Pieces(contents)) {
    budget.addReceived(piece.length)
    await file.write(piece)
  }
}

/** Throws JobFailure at the first piece that is not base64. White space is ignored. */
function* base64Pieces(contents: string): Generator<Buffer> {
  let rest = ''
  let ended = false
  for (let at = 0; at < contents.length; at += PIECE_CHARACTERS) {
    const text = rest + contents.slice(at, at + PIECE_CHARACTERS).replace(/\s+/g, '')
    const whole = text.slice(0, text.length - (text.length % 4))
    rest = text.slice(whole.length)
    if (whole === '') continue
    if (ended || !/^[A-Za-z0-9+/]*={0,2}$/.test(whole)) throw new JobFailure(NOT_BASE64)
    ended = whole.endsWith('=')
    yield Buffer.from(whole, 'base64')
  }
  if (rest !== '') throw new JobFailure(NOT_BASE64)
}
