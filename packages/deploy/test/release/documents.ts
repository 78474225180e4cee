/** Reads the documents for operators. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './check-lines.ts'

/** Each role's document, and the hotkey that it uses as an example. */
export const DOCUMENTS = {
  validator: { file: 'docs/run-a-validator.md', hotkey: 'validator-1' },
  miner: { file: 'docs/run-a-miner.md', hotkey: 'miner-1' },
} as const

export type Role = keyof typeof DOCUMENTS

export const ROLES = Object.keys(DOCUMENTS) as Role[]

/** Returns the text of a file, by its path from the repository's root. */
export function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** Returns the lines of a document's shell blocks that begin with a program's name. */
export function shellCommands(file: string, program: string): string[] {
  const blocks = [...textOf(file).matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.split('\n'))
  return blocks.filter(line => line.startsWith(`${program} `))
}

/** Returns the commands of btcli 9: the second column of the table whose first column has those of btcli 11. */
export function btcli9Commands(file: string): string[] {
  return [...textOf(file).matchAll(/^\| `btcli [^|]*\| `(btcli [^`]*)` \|$/gm)].map(([, command = '']) => command)
}
