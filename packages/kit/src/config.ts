import { z } from 'zod'
import { parseDatabaseUrl } from './database/url.ts'

/** How many characters of a wrong value a message shows. */
const LONGEST_VALUE_SHOWN = 80

/** A setting of a service, read from the environment variable of the same name. */
export interface Setting<S extends z.ZodType = z.ZodType> {
  readonly schema: S
  /** One sentence for the operator: what the setting does, with its unit. */
  readonly about: string
  /** A valid value as it is written in an env file. */
  readonly example: string
  /** True: the value never appears in a message, table or log. */
  readonly secret: boolean
}

export type Settings = { readonly [name: string]: Setting }

/** The parsed values of a settings object. */
export type SettingsOf<T extends Settings> = { readonly [K in keyof T]: z.output<T[K]['schema']> }

/** A mistake in one setting. */
export interface SettingMistake {
  readonly name: string
  /** What is wrong, without the name: `is not set`. */
  readonly problem: string
  /** What to do about it. Default: the setting's own sentence is shown. */
  readonly advice?: string
}

/** Settings are missing or wrong. The message lists them all. The exit code is 78 (EX_CONFIG). */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly mistakes: readonly SettingMistake[]

  constructor(mistakes: readonly SettingMistake[], settings: Settings = {}) {
    const head = mistakes.length === 1 ? 'One setting is wrong:' : `${mistakes.length} settings are wrong:`
    super([head, ...mistakes.map(mistake => `  ${describeMistake(mistake, settings[mistake.name])}`)].join('\n'))
    this.mistakes = mistakes
  }
}

/** Defines a setting: a zod schema over an optional string, a sentence about it, and an example. */
export function setting<S extends z.ZodType>(
  schema: S,
  texts: { about: string; example: string; secret?: boolean },
): Setting<S> {
  return { schema, about: texts.about, example: texts.example, secret: texts.secret ?? false }
}

/** Defines the settings of a service by environment variable. */
export function defineSettings<const T extends Settings>(settings: T): T {
  return settings
}

/**
 * Reads all settings. Ignores white space around a value and variables that are not settings. An empty value counts as
 * unset.
 *
 * @throws ConfigError with every mistake
 */
export function readSettings<T extends Settings>(
  settings: T,
  env: Readonly<Record<string, string | undefined>>,
): SettingsOf<T> {
  const values: Record<string, unknown> = {}
  const mistakes: SettingMistake[] = []
  for (const [name, each] of Object.entries(settings)) {
    const text = env[name]?.trim() || undefined
    const result = each.schema.safeParse(text)
    if (result.success) values[name] = result.data
    else mistakes.push({ name, problem: describeProblem(text, result.error, each.secret) })
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes, settings)
  return values as SettingsOf<T>
}

/** Returns the settings as a Markdown table for a README. */
export function settingsTable(settings: Settings): string {
  const rows = Object.entries(settings).map(([name, each]) => {
    const start = defaultOf(each)
    const shown = start.required ? 'required' : start.text === '' ? '' : `\`${start.text}\``
    return `| \`${name}\` | ${cell(each.about)} | ${cell(shown)} | \`${cell(each.example)}\` |`
  })
  return ['| Setting | What it is | Default | Example |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}

/** Returns an env file to fill in: required settings are empty, the others commented out with their defaults. */
export function envTemplate(settings: Settings): string {
  const parts = Object.entries(settings).map(([name, each]) => {
    const start = defaultOf(each)
    if (start.required) return `# ${each.about} Required. Example: ${each.example}\n${name}=\n`
    return `# ${each.about} Example: ${each.example}\n#${name}=${start.text}\n`
  })
  return parts.join('\n')
}

/** A boolean: true, yes, on, 1 or false, no, off, 0, in any case. */
export const envBoolean = z.string().transform((text, context) => {
  if (/^(true|yes|on|1)$/i.test(text)) return true
  if (/^(false|no|off|0)$/i.test(text)) return false
  return refuse(context, 'must be true or false')
})

/** A number between `min` and `max`, both included. */
export function envNumber(range: { min?: number; max?: number } = {}) {
  return numberFrom(range, 'a number', /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i)
}

/** A whole number between `min` and `max`, both included. */
export function envInteger(range: { min?: number; max?: number } = {}) {
  return numberFrom(range, 'a whole number', /^[+-]?\d+$/)
}

/** A TCP port, 1 to 65535; 0 lets the system choose. */
export const envPort = envInteger({ min: 0, max: 65_535 })

/** Items separated by commas. White space around items and empty items are dropped. */
export const envList = z.string().transform(text =>
  text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== ''),
)

/** An absolute URL, kept as text. */
export const envUrl = z.string().transform((text, context) => {
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(text) && URL.canParse(text)) return text
  return refuse(context, 'must be a URL')
})

/** A database URL, kept as text: postgres://…, pglite://<folder> or pglite://memory. Secret: it may hold a password. */
export const envDatabaseUrl = z.string().transform((text, context) => {
  const target = parseDatabaseUrl(text)
  return 'problem' in target ? refuse(context, target.problem) : text
})

function numberFrom({ min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }, noun: string, form: RegExp) {
  const floor = Number.isFinite(min) ? ` of at least ${min}` : ''
  const bounds = Number.isFinite(max) ? (floor ? ` from ${min} to ${max}` : ` of at most ${max}`) : floor
  return z.string().transform((text, context) => {
    const value = form.test(text) ? Number(text) : Number.NaN
    const exact = form.source.includes('.') || Number.isSafeInteger(value)
    return value >= min && value <= max && Number.isFinite(value) && exact
      ? value
      : refuse(context, `must be ${noun}${bounds}`)
  })
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}

function describeProblem(text: string | undefined, error: z.ZodError, secret: boolean): string {
  if (text === undefined) return 'is not set'
  const message = [...new Set(error.issues.map(issue => issue.message))].join('; ')
  if (secret) return `${message.includes(text) ? 'is not valid' : message} (got ${text.length} characters, not shown)`
  const quotes = /^(["']).*\1$/s.test(text) ? '; the quotes are part of the value' : ''
  const shown = text.length > LONGEST_VALUE_SHOWN ? `${text.slice(0, LONGEST_VALUE_SHOWN)}…` : text
  return `${message} (got ${JSON.stringify(shown)}${quotes})`
}

function describeMistake({ name, problem, advice }: SettingMistake, known: Setting | undefined): string {
  if (!known) return `${name}: ${problem}`
  return `${name}: ${problem} — ${advice === undefined ? known.about : `${advice}.`} Example: ${name}=${known.example}`
}

function defaultOf(each: Setting): { required: boolean; text: string } {
  const result = each.schema.safeParse(undefined)
  if (!result.success) return { required: true, text: '' }
  if (result.data === undefined || result.data === null) return { required: false, text: '' }
  return { required: false, text: String(result.data) }
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
