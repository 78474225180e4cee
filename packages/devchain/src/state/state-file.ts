import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { type Block, sealBlock } from '../chain/block.ts'
import type { Snapshot } from '../chain/chain.ts'
import { fromHex, type Hex, toHex } from '../scale/bytes.ts'

const FORMAT = 1
const hex = z
  .string()
  .regex(/^0x[0-9a-f]*$/)
  .transform(text => text as Hex)

const blockSchema = z.object({
  parentHash: hex,
  number: z.int(),
  stateRoot: hex,
  extrinsicsRoot: hex,
  extrinsics: z.array(hex),
})

const fileSchema = z.object({
  format: z.literal(FORMAT),
  genesis: blockSchema,
  blocks: z.array(blockSchema),
  state: z.record(z.string(), hex),
})

/** The state file exists but cannot be used. */
export class StateFileError extends Error {
  override readonly name = 'StateFileError'
}

const written = ({ header, extrinsics }: Block) => ({ ...header, extrinsics: extrinsics.map(toHex) })

const read = ({ extrinsics, ...header }: z.output<typeof blockSchema>): Block =>
  sealBlock(header, extrinsics.map(fromHex))

/** Writes a new file and renames it, so that a crash leaves the old file intact. */
export async function saveState(path: string, { genesis, blocks, entries }: Snapshot): Promise<void> {
  const state = Object.fromEntries(entries.map(([key, value]) => [key, toHex(value)]))
  const text = JSON.stringify({ format: FORMAT, genesis: written(genesis), blocks: blocks.map(written), state })
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** Returns undefined when there is no file yet. @throws StateFileError for a broken file */
export async function loadState(path: string): Promise<Snapshot | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const file = fileSchema.parse(JSON.parse(text))
    const entries = Object.entries(file.state).map(([key, value]): [Hex, Uint8Array] => [key as Hex, fromHex(value)])
    return { genesis: read(file.genesis), blocks: file.blocks.map(read), entries }
  } catch (cause) {
    throw new StateFileError(`${path} is no state file of this chain`, { cause })
  }
}
