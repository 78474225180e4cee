/** A miner that is built on the messages of the published package (compute-horde on PyPI). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { HOST } from '@horde/testing/peers/scripted-miner'
import { expect } from 'vitest'
import { VALIDATOR } from '../test/jobs/drive.ts'

const PYTHON = fileURLToPath(new URL('../../../.venvs/compute-horde/bin/python', import.meta.url))
const SCRIPT = fileURLToPath(new URL('python-miner.py', import.meta.url))

/** What the package makes of a frame. */
interface Line {
  connection: number
  type: string
  /** The frame. */
  content: Record<string, unknown>
  /** The package's message, written by the package. */
  understood: Record<string, unknown>
  /** Whether the validator signed the frame; null for a frame without a signature. */
  signed: boolean | null
  /** Whether the receipt in it is good once the miner has signed it, too; null for a frame without one. */
  receipt: boolean | null
  /** Why the frame is malformed. */
  error?: string
}

export interface PythonMiner extends AsyncDisposable {
  address: string
  /** The types of all messages of a validator. */
  types: string[]
  lines: Line[]
}

/** Starts a miner with the hotkey of `MINER`, for jobs of `VALIDATOR`. */
export async function startPythonMiner(): Promise<PythonMiner> {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing: run bin/setup --sdks`)
  const child = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  child.stdin.write(`${JSON.stringify({ validator: VALIDATOR.ss58, miner: '//Bob' })}\n`)
  const printed = createInterface({ input: child.stdout })
  const first = await Promise.race([once(printed, 'line'), closed.then(() => [])])
  const { port, types } = JSON.parse(String(first[0] ?? '{}')) as { port: number; types: string[] }
  const lines: Line[] = []
  printed.on('line', line => lines.push(JSON.parse(line)))
  const end = async () => {
    child.stdin.end()
    await closed
  }
  return { address: `${HOST}:${port}`, types, lines, [Symbol.asyncDispose]: end }
}

const SIGNED = ['ValidatorAuthForMiner', 'V0InitialJobRequest', 'V0JobRequest']
const WITH_RECEIPT = ['V0InitialJobRequest', 'V0JobAcceptedReceiptRequest', 'V0JobFinishedReceiptRequest']
export const UP_TO_WORK = [
  'ValidatorAuthForMiner',
  'V0InitialJobRequest',
  'V0JobAcceptedReceiptRequest',
  'V0JobRequest',
]
export const END = 'V0JobFinishedReceiptRequest'
/** Expects that the package understands the frames, and finds every signature and receipt good. */
export function expectUnderstood(lines: readonly Line[]): void {
  for (const { type, content, understood, signed, receipt, error } of lines) {
    expect(error).toBe(undefined)
    expect([type, signed]).toEqual([type, SIGNED.includes(type) ? true : null])
    expect([type, receipt]).toEqual([type, WITH_RECEIPT.includes(type) ? true : null])
    // The package keeps every field but one of ours, and changes none.
    const { capabilities, ...known } = content
    expect(understood).toEqual(known)
    if (type === 'ValidatorAuthForMiner') expect(capabilities).toEqual(['2026', 'large-frames'])
  }
}
