/** Commands of a service and their options, said once: the line is read by them, and the help is printed from them. */
import { parseArgs } from 'node:util'

export type Option = {
  readonly type: 'string' | 'boolean'
  readonly about: string
  /** What stands for its value in the help; without it, its name in capitals. */
  readonly value?: string
  /** Whether it may be given several times: its values are a list. */
  readonly multiple?: true
}

export type Described = {
  /** Without a full stop. */
  readonly about: string
  readonly more: string
  readonly options: Readonly<Record<string, Option>>
  /** What may follow the options, as the help shows it: `<miner>`. Without it nothing may. */
  readonly rest?: string
}

/** The first is what runs when the line names none. */
export type Commands<Name extends string = string> = Readonly<Record<Name, Described>>

/** Values of options by their names: text, true, or a list of texts. */
export type OptionValues = Readonly<Record<string, string | boolean | string[] | undefined>>

export type ReadLine<Name extends string> =
  | { name: Name; values: OptionValues; rest: string[] }
  /** `of`: undefined for all commands. */
  | { help: true; of: Name | undefined }
  | { version: true }
  /** What is wrong with the line. */
  | { mistake: string }

/** @param byDefault the command whose name may be left out */
export function readLine<Name extends string>(
  args: readonly string[],
  commands: Commands<Name>,
  byDefault: Name,
): ReadLine<Name> {
  const nameOf = (text = '') => (Object.hasOwn(commands, text) ? (text as Name) : undefined)
  const [first = byDefault] = args
  if (first === '--help' || first === '-h' || first === 'help') return { help: true, of: nameOf(args[1]) }
  if (first === '--version') return { version: true }
  const name = first.startsWith('-') ? byDefault : nameOf(first)
  if (name === undefined) return { mistake: `there is no command ${first}` }
  const { options, rest } = commands[name]
  const known = { ...Object.fromEntries(Object.entries(options).map(parsed)), help: HELP }
  try {
    const read = parseArgs({
      args: args.slice(first === name ? 1 : 0),
      options: known,
      allowPositionals: rest !== undefined,
    })
    const { help, ...values } = read.values as OptionValues
    return help ? { help: true, of: name } : { name, values, rest: read.positionals }
  } catch (error) {
    return { mistake: `${name}: ${(error as Error).message}` }
  }
}

/** @param of without it, all commands */
export function usage<Name extends string>(program: string, commands: Commands<Name>, of?: Name): string {
  if (of === undefined) {
    const lines = Object.entries<Described>(commands).map(([name, { about }]) => `  ${name.padEnd(10)}  ${about}`)
    const more = ['  <command> --help says more about one', '  --version prints the version of this release']
    return [`usage: ${program} [command]`, '', ...lines, '', ...more, ''].join('\n')
  }
  const { about, more, options, rest } = commands[of]
  const named = Object.entries(options).map(([name, option]) => [`--${name}${placeOf(name, option)}`, option.about])
  const width = Math.max(16, ...named.map(([text = '']) => text.length))
  const lines = named.map(([text = '', what]) => `  ${text.padEnd(width)}  ${what}`)
  const head = [`usage: ${program} ${of}`, ...(lines.length > 0 ? ['[options]'] : []), ...(rest ? [rest] : [])]
  const said = `${about[0]?.toUpperCase()}${about.slice(1)}. ${more}`
  return [head.join(' '), '', said, ...(lines.length > 0 ? ['', ...lines] : []), ''].join('\n')
}

const HELP = { type: 'boolean', short: 'h' } as const

function parsed([name, { type, multiple }]: [string, Option]) {
  return [name, { type, ...(multiple ? { multiple } : {}) }] as const
}

function placeOf(name: string, { type, value }: Option): string {
  return type === 'string' ? ` ${value ?? name.toUpperCase()}` : ''
}
