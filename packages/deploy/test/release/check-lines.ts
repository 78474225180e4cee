/** Finds the lines that a service's `check` can print, by reading the sources that its command imports. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../../..', import.meta.url))

/** A call of `ok`, `warn` or `bad`. `…` stands for each computed part: `the chain says …, not … port …`. */
export type CheckLine = { verdict: 'ok' | 'warn' | 'bad'; subject: string; found: string; file: string }

/**
 * Returns every line that a `check` can print.
 * @param program the source of the command `check`, relative to the repository's root
 */
export function checkLines(program: string): CheckLine[] {
  return importedFrom(join(root, program)).flatMap(linesOf)
}

/** Returns the file and all files of this repository that it imports, directly or not. */
function importedFrom(entry: string): string[] {
  const seen = new Set<string>()
  const visit = (file: string) => {
    if (seen.has(file)) return
    seen.add(file)
    const imports = readFileSync(file, 'utf8').matchAll(/\b(?:from|import\()\s*'([^']+\.ts|@horde\/[^']+)'/g)
    for (const [, name = ''] of imports) visit(fileOf(name, file))
  }
  visit(entry)
  return [...seen]
}

/** Returns the path of an imported file; throws if it does not exist. */
function fileOf(name: string, importer: string): string {
  const [, owner, path] = /^@horde\/([a-z]+)\/(.*)$/.exec(name) ?? []
  const file = owner ? join(root, 'packages', owner, 'src', `${path}.ts`) : resolve(dirname(importer), name)
  if (!existsSync(file)) throw new Error(`${importer} imports ${name}, which does not exist`)
  return file
}

/** Returns the calls of `ok`, `warn` and `bad` in a file. */
function linesOf(file: string): CheckLine[] {
  const text = readFileSync(file, 'utf8').replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')
  if (!/import \{[^}]*\b(ok|warn|bad)\b[^}]*\} from|export function bad\(/.test(text)) return []
  return [...text.matchAll(/(?<!function |[^.]\.)\b(ok|warn|bad)\(/g)].flatMap(({ 0: call, 1: verdict, index }) => {
    const [subject = '', found = ''] = argumentsAt(text, index + call.length)
    const [subjects, words] = [subject, found].map(argument => textsOf(argument, text.slice(0, index)))
    return (subjects ?? []).flatMap(subject =>
      (words ?? []).map(found => ({ verdict: verdict as CheckLine['verdict'], subject, found, file })),
    )
  })
}

/** Returns the arguments of a call. `start` is the offset behind its opening bracket. */
function argumentsAt(text: string, start: number): string[] {
  const found: string[] = []
  let [depth, from, quote] = [0, start, '']
  const templates: number[] = []
  for (let at = start; at < text.length; at += 1) {
    const character = text[at] ?? ''
    if (quote !== '') {
      if (character === '\\') at += 1
      else if (quote === '`' && text.startsWith('${', at)) {
        templates.push(depth)
        ;[quote, at, depth] = ['', at + 1, depth + 1]
      } else if (character === quote) quote = ''
    } else if (`'"\``.includes(character)) quote = character
    else if ('([{'.includes(character)) depth += 1
    else if (character === ',' && depth === 0) {
      found.push(text.slice(from, at))
      from = at + 1
    } else if (')]}'.includes(character)) {
      if (depth === 0) return [...found, text.slice(from, at)].map(argument => argument.trim())
      depth -= 1
      if (character === '}' && templates.at(-1) === depth) {
        templates.pop()
        quote = '`'
      }
    }
  }
  throw new Error('a call has no closing bracket')
}

/**
 * Returns the texts that an argument can have: that of a literal, or of a constant that `before` sets to a literal.
 * Returns `…` for any other.
 */
function textsOf(argument: string, before: string): string[] {
  const literal = literalOf(argument)
  if (literal !== undefined) return [literal]
  if (!/^\w+$/.test(argument)) return ['…']
  const head = `const ${argument} = `
  const declared = before.lastIndexOf(head)
  if (declared < 0) return ['…']
  // The value ends before the next statement, which begins a line with at most four spaces.
  const value = before.slice(declared + head.length).split(/\n {0,4}(?=\w)/, 1)[0] ?? ''
  return [literalOf(value.trim()) ?? '…']
}

/** Returns the text of a literal, or undefined if `argument` is none. */
function literalOf(argument: string): string | undefined {
  const [, quote, inside = ''] = /^(['"`])(.*)\1$/s.exec(argument) ?? []
  if (quote === undefined || (quote !== '`' && inside.includes(quote))) return undefined
  return quote === '`' ? elideParts(inside) : inside
}

/** Returns a template's text with `…` for each `${…}`. */
function elideParts(template: string): string {
  let [shown, depth] = ['', 0]
  for (let at = 0; at < template.length; at += 1) {
    if (depth === 0 && template.startsWith('${', at)) {
      ;[depth, at, shown] = [1, at + 1, `${shown}…`]
    } else if (depth > 0) depth += template[at] === '{' ? 1 : template[at] === '}' ? -1 : 0
    else shown += template[at]
  }
  return shown
}
