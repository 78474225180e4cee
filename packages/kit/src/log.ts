import {
  type DestinationStream,
  destination,
  type Logger,
  type LoggerOptions,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from 'pino'
import { boundedError, boundedFields, boundedText } from './log/bounded.ts'

/** A service's log: one JSON object a line, with a constant sentence and fields. */
export type Log = Logger

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface LogOptions {
  /** The lowest level that is written. Default: info. */
  level?: LogLevel
  /** Where the lines go. Default: stdout, synchronously, so that a process that exits has written all of them. */
  destination?: DestinationStream
}

/** stdout's descriptor. */
const STDOUT = 1

const HIDDEN = '[redacted]'

/** The ends of the names of fields that hold secrets. */
const SECRET_FIELDS =
  'token|signature|secret|secret_?(?:phrase|seed)|password|authorization|cookie|mnemonic|private_?key'
/** A string or a number in JSON. */
const TEXT_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/

/**
 * Patterns of secrets and their replacements. They apply to the finished JSON, so that no way through pino avoids them:
 * fields, URLs, and an error's message or stack. They never match a quote or a backslash, so that the line stays JSON.
 */
const SECRETS: [RegExp, string][] = [
  [/(\/executor_interface\/)[^\s"'\\/?#]+/g, `$1${HIDDEN}`],
  [/(:\/\/[^\s"'\\/:@]*:)[^\s"'\\/@]+(?=@)/g, `$1${HIDDEN}`],
  [/([?&][\w.-]*(?:token|signature|secret|password|credential|sig)=)[^\s"'\\&#]+/gi, `$1${HIDDEN}`],
  [/(\b\w*(?:TOKEN|SECRET|PASSWORD)=)[^\s"'\\,;]+/g, `$1${HIDDEN}`],
  [new RegExp(`("[\\w.-]*(?:${SECRET_FIELDS})":)(?:${TEXT_OR_NUMBER.source})`, 'gi'), `$1"${HIDDEN}"`],
  [/(\\"[\w.-]*(?:token|signature|secret|password)\\": ?\\")[^"\\]*/gi, `$1${HIDDEN}`],
]

/** Returns the line without tokens, signatures and passwords. */
export function redact(line: string): string {
  let clean = line
  for (const [pattern, replacement] of SECRETS) clean = clean.replace(pattern, replacement)
  return clean
}

/** @param name the service: `miner`, `validator`, … */
export function createLog(name: string, options: LogOptions = {}): Log {
  const pinoOptions: LoggerOptions = {
    level: options.level ?? 'info',
    base: { name },
    timestamp: stdTimeFunctions.isoTime,
    // Any field may hold text from strangers, so long texts are cut.
    formatters: { level: label => ({ level: label }), log: boundedFields },
    serializers: {
      ...{ err: describeError, error: describeError, cause: describeError, reason: describeError },
      msg: (sentence: unknown) => (typeof sentence === 'string' ? boundedText(sentence) : sentence),
    },
    hooks: { streamWrite: redact },
  }
  const log = pino(pinoOptions, options.destination ?? destination({ dest: STDOUT, sync: true }))
  const { child } = log
  // pino does not apply formatters to a child's bindings, so they are cut here. Children inherit this function.
  log.child = function (this: Log, bindings, childOptions) {
    return child.call(this, boundedFields(bindings), childOptions)
  } as Log['child']
  return log
}

/** A log that writes nothing. */
export const silentLog: Log = pino({ level: 'silent' })

/**
 * Returns the fields of an error and its causes. The parameters of a failed query may come from strangers, so they are
 * removed from the fields, the message and the stack, where drizzle puts them.
 */
function describeError(error: unknown): unknown {
  return error instanceof Error ? boundedError(withoutParameters(stdSerializers.errWithCause(error))) : error
}

function withoutParameters(value: object): Record<string, unknown> {
  const clean: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    if (key === 'params' || key === 'parameters') continue
    if (typeof field === 'string') clean[key] = field.replace(/\nparams: .*?(?=\n {4}at |$)/gs, '')
    else clean[key] = key === 'cause' && typeof field === 'object' && field ? withoutParameters(field) : field
  }
  return clean
}
