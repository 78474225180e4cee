/** The documents for operators, as tests read them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './check-lines.ts'

/** What a document says, by the role that it is about. */
export const DOCUMENTS = {
  validator: { file: 'docs/run-a-validator.md', hotkey: 'validator-1' },
  miner: { file: 'docs/run-a-miner.md', hotkey: 'miner-1' },
} as const

export type Role = keyof typeof DOCUMENTS

export const ROLES = Object.keys(DOCUMENTS) as Role[]

export function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** The lines of the blocks of shell commands that begin with a program's name. */
export function shellCommands(file: string, program: string): string[] {
  const blocks = [...textOf(file).matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.split('\n'))
  return blocks.filter(line => line.startsWith(`${program} `))
}

/** The commands of the older btcli: the second column of a table whose first begins with a command. */
export function olderCommands(file: string): string[] {
  return [...textOf(file).matchAll(/^\| `btcli [^|]*\| `(btcli [^`]*)` \|$/gm)].map(([, command = '']) => command)
}
