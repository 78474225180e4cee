import { parseArgs } from 'node:util'
import {
  ConfigError,
  defineSettings,
  envInteger,
  envPort,
  readSettings,
  type SettingsOf,
  setting,
} from '@horde/kit/config'
import { z } from 'zod'

const MAX_BLOCK_MS = 24 * 60 * 60 * 1000

const pace = z.string().transform((text, context) => {
  if (text === 'per-extrinsic') return text
  const ms = envInteger({ min: 1, max: MAX_BLOCK_MS }).safeParse(text)
  if (ms.success) return ms.data
  context.addIssue({ code: 'custom', message: `must be a whole number from 1 to ${MAX_BLOCK_MS}, or per-extrinsic` })
  return z.NEVER
})

/** The flags of the command. */
export const flags = defineSettings({
  '--genesis': setting(z.string(), { about: 'JSON file that the chain begins with.', example: 'genesis.json' }),
  '--port': setting(envPort.default(9944), { about: 'TCP port; 0 takes any free one.', example: '9944' }),
  '--host': setting(z.string().default('127.0.0.1'), { about: 'Address to listen on.', example: '127.0.0.1' }),
  '--block-ms': setting(pace.default(1000), {
    about: 'Milliseconds between blocks, or per-extrinsic for a block whenever there is something to put into it.',
    example: '1000',
  }),
  '--state': setting(z.string().optional(), {
    about: 'File that keeps the state between runs; once it exists, it wins over the genesis.',
    example: 'chain.json',
  }),
})

export type Flags = SettingsOf<typeof flags>

/** @throws ConfigError with every mistake */
export function readFlags(args: string[]): Flags {
  const names = Object.keys(flags).map(flag => flag.slice(2))
  const options = Object.fromEntries(names.map(name => [name, { type: 'string' as const }]))
  const given: Record<string, string> = {}
  for (const token of parseArgs({ args, options, strict: false, tokens: true }).tokens) {
    if (token.kind === 'option-terminator') continue
    const name = token.kind === 'option' ? token.rawName : token.value
    if (token.kind !== 'option' || !names.includes(token.name)) {
      throw new ConfigError([{ name, problem: `is not an option; there are ${Object.keys(flags).join(', ')}` }])
    }
    given[name] = token.value ?? ''
  }
  return readSettings(flags, given)
}
