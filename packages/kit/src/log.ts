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

/** A service's log: constant sentences with fields, one JSON object a line. */
export type Log = Logger

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface LogOptions {
  /** The least level that is written. Default: info. */
  level?: LogLevel
  /** Where the lines go. Default: stdout, synchronously, so that a dying process has said everything. */
  destination?: DestinationStream
}

/** stdout's descriptor. */
const STDOUT = 1

const HIDDEN = '[redacted]'

/**
 * What is hidden, wherever in a line it stands: in a field, a URL, an error's message or stack. The patterns work on the
 * finished JSON, so that no path through pino goes round them, and they never touch a quote or a backslash, so that the
 * line stays JSON.
 */
const SECRETS: [RegExp, string][] = [
  [/(\/executor_interface\/)[^\s"'\\/?#]+/g, `$1${HIDDEN}`],
  [/(:\/\/[^\s"'\\/:@]*:)[^\s"'\\/@]+(?=@)/g, `$1${HIDDEN}`],
  [/([?&][\w.-]*(?:token|signature|secret|password|credential|sig)=)[^\s"'\\&#]+/gi, `$1${HIDDEN}`],
  [/(\b\w*(?:TOKEN|SECRET|PASSWORD)=)[^\s"'\\,;]+/g, `$1${HIDDEN}`],
  [
    /("[\w.-]*(?:token|signature|secret|secret_?(?:phrase|seed)|password|authorization|cookie|mnemonic|private_?key)":)(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*)/gi,
    `$1"${HIDDEN}"`,
  ],
  [/(\\"[\w.-]*(?:token|signature|secret|password)\\": ?\\")[^"\\]*/gi, `$1${HIDDEN}`],
]

/** The line without tokens, signatures and passwords. */
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
    // What a stranger sent may be in any field, at any level: a line never holds more than a little of a text.
    formatters: { level: label => ({ level: label }), log: boundedFields },
    serializers: {
      ...{ err: describeError, error: describeError, cause: describeError, reason: describeError },
      msg: (sentence: unknown) => (typeof sentence === 'string' ? boundedText(sentence) : sentence),
    },
    hooks: { streamWrite: redact },
  }
  const log = pino(pinoOptions, options.destination ?? destination({ dest: STDOUT, sync: true }))
  const { child } = log
  // pino writes what a child is made with as it is; children inherit this from the log.
  log.child = function (this: Log, bindings, childOptions) {
    return child.call(this, boundedFields(bindings), childOptions)
  } as Log['child']
  return log
}

/** A log that says nothing. */
export const silentLog: Log = pino({ level: 'silent' })

/**
 * An error with its causes. A failed query's parameters are what strangers sent, so they are left out of the fields, the
 * message and the stack, where drizzle puts them.
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
