/** Finds the lines that `check` can print, in the sources of a service and of all that its check imports. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../../..', import.meta.url))

/** A call of `ok`, `warn` or `bad`. Whatever the code computes is `…`: `the chain says …, not … port …`. */
export type CheckLine = { verdict: 'ok' | 'warn' | 'bad'; subject: string; found: string; file: string }

/** @param program the file of the command check, from the top of the repository */
export function checkLines(program: string): CheckLine[] {
  return importedFrom(join(root, program)).flatMap(linesOf)
}

/** The file and all that it imports from this repository, types left out. */
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

function fileOf(name: string, importer: string): string {
  const [, owner, path] = /^@horde\/([a-z]+)\/(.*)$/.exec(name) ?? []
  const file = owner ? join(root, 'packages', owner, 'src', `${path}.ts`) : resolve(dirname(importer), name)
  if (!existsSync(file)) throw new Error(`${importer} imports ${name}, which is not there`)
  return file
}

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

/** The arguments of a call whose opening bracket stands just before `start`. */
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
  throw new Error('a call does not end')
}

/** What an argument can say: a literal, a name that `before` gives a literal, or what only the running program knows. */
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

function literalOf(argument: string): string | undefined {
  const [, quote, inside = ''] = /^(['"`])(.*)\1$/s.exec(argument) ?? []
  if (quote === undefined || (quote !== '`' && inside.includes(quote))) return undefined
  return quote === '`' ? withoutParts(inside) : inside
}

/** A template with `…` for each of its parts. */
function withoutParts(template: string): string {
  let [shown, depth] = ['', 0]
  for (let at = 0; at < template.length; at += 1) {
    if (depth === 0 && template.startsWith('${', at)) {
      ;[depth, at, shown] = [1, at + 1, `${shown}…`]
    } else if (depth > 0) depth += template[at] === '{' ? 1 : template[at] === '}' ? -1 : 0
    else shown += template[at]
  }
  return shown
}
