import { z } from 'zod'
import { decodeAddress } from './crypto.ts'
import type { hyperparameters } from './pallets/subtensor/storage.ts'
import { type Hex, toHex } from './scale/bytes.ts'

const U16_MAX = 0xffff
const U64_MAX = (1n << 64n) - 1n

/** An account by its SS58 address (any prefix) or its public key in hex. */
const account = z.string().transform((address, context): Hex => {
  try {
    return toHex(decodeAddress(address))
  } catch {
    context.addIssue({ code: 'custom', message: 'not an SS58 address' })
    return z.NEVER
  }
})

/** rao, as a number or a string of digits, which may exceed what a number holds exactly. */
const rao = z.union([z.int().nonnegative(), z.string().regex(/^\d+$/, 'not a whole number of rao')]).transform(BigInt)
const u64 = rao.refine(value => value <= U64_MAX, 'more than 64 bits')
const u16 = z.int().min(0).max(U16_MAX)

type Names = keyof typeof hyperparameters

/** Named like the storage items. Missing ones have the chain's default for a new subnet. */
const hyperparameterSchemas = {
  WeightsVersionKey: u64,
  WeightsSetRateLimit: u64,
  MinAllowedWeights: u16,
  MaxWeightsLimit: u16,
  CommitRevealWeightsEnabled: z.boolean(),
  RevealPeriodEpochs: u64.refine(value => value >= 1n && value <= 100n, 'must be 1 to 100'),
  ServingRateLimit: u64,
  MaxAllowedUids: u16,
  MaxAllowedValidators: u16,
  ImmunityPeriod: u16,
  ActivityCutoff: u16,
  ActivityCutoffFactorMilli: z.int().min(0).max(0xffff_ffff),
  Kappa: u16,
  Rho: u16,
  Burn: u64,
  MinBurn: u64,
  MaxBurn: u64,
  NetworkRegistrationAllowed: z.boolean(),
  MaxRegistrationsPerBlock: u16,
  TargetRegistrationsPerInterval: u16,
} satisfies Record<Names, z.ZodType>

/** Some of a subnet's hyperparameters, as a genesis file names them. */
export const hyperparametersSchema = z.strictObject(hyperparameterSchemas).partial()
export type Hyperparameters = z.input<typeof hyperparametersSchema>

const ipv4 = z.ipv4().transform(text => {
  const ip = text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
  return { ip, ip_type: 4 }
})

const IPV6_GROUPS = 8
const ipv6 = z.ipv6().transform(text => {
  // The URL parser writes every form of an IPv6 address with hex digits only.
  const [head = '', tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::')
  const [first, last] = [head, tail ?? ''].map(part => part.split(':').filter(Boolean)) as [string[], string[]]
  const zeros = Array<string>(IPV6_GROUPS - first.length - last.length).fill('0')
  const ip = [...first, ...zeros, ...last].reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n)
  return { ip, ip_type: 6 }
})

const axon = z
  .strictObject({ ip: z.union([ipv4, ipv6], 'no IPv4 or IPv6 address'), port: z.int().min(1).max(U16_MAX) })
  .transform(({ ip, port }) => ({ ...ip, port }))

const neuron = z.strictObject({
  hotkey: account,
  coldkey: account,
  stake: u64.default(0n),
  axon: axon.optional(),
})

const subnet = z.strictObject({
  netuid: z.int().min(1).max(4095),
  tempo: u16.default(360),
  hyperparameters: hyperparametersSchema.default({}),
  owner: z.strictObject({ coldkey: account, hotkey: account }).optional(),
  neurons: z.array(neuron).default([]),
})

const chain = z.strictObject({
  balances: z.record(z.string(), u64).default({}),
  sudo: account,
  /** The stake, in rao, that setting weights needs on every subnet. */
  stakeThreshold: u64.default(0n),
  /** The number of blocks before an epoch in which owners cannot change settings. */
  adminFreezeWindow: u16.default(10),
  subnets: z.array(subnet).default([]),
})

/** Returns the sum of all rao. Invalid amounts are reported elsewhere and not counted. */
function totalOf({ balances, subnets }: z.output<typeof chain>): bigint {
  const stakes = subnets.flatMap(({ neurons }) => neurons.map(({ stake }) => stake))
  const amounts = [...Object.values(balances), ...stakes].filter(amount => typeof amount === 'bigint')
  return amounts.reduce((sum, amount) => sum + amount, 0n)
}

/** The genesis of a chain. Errors name the path of each mistake. */
export const genesisSchema = chain.superRefine((genesis, context) => {
  const fail = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message })
  for (const address of Object.keys(genesis.balances)) {
    if (!account.safeParse(address).success) fail(['balances', address], 'not an SS58 address')
  }
  if (totalOf(genesis) > U64_MAX) fail([], 'balances and stakes together are more than 64 bits of rao')
  const netuids = genesis.subnets.map(({ netuid }) => netuid)
  for (const [index, { netuid, neurons, hyperparameters }] of genesis.subnets.entries()) {
    if (netuids.indexOf(netuid) !== index) fail(['subnets', index, 'netuid'], `netuid ${netuid} is there twice`)
    const hotkeys = neurons.map(({ hotkey }) => hotkey)
    for (const [at, hotkey] of hotkeys.entries()) {
      if (hotkeys.indexOf(hotkey) !== at)
        fail(['subnets', index, 'neurons', at, 'hotkey'], 'this hotkey is there twice')
    }
    const room = hyperparameters.MaxAllowedUids ?? 256
    if (neurons.length > room) fail(['subnets', index, 'neurons'], `more neurons than MaxAllowedUids (${room})`)
  }
})

/** The genesis as written in a file. */
export type Genesis = z.input<typeof genesisSchema>
export type ParsedGenesis = z.output<typeof genesisSchema>

/** The genesis file is not valid. The message has one line for each mistake. */
export class GenesisError extends Error {
  override readonly name = 'GenesisError'
}

/** @throws GenesisError with the path of every mistake */
export function parseGenesis(value: unknown): ParsedGenesis {
  const result = genesisSchema.safeParse(value)
  if (result.success) return result.data
  const lines = result.error.issues.map(({ path, message }) => `  ${path.join('.') || '(the whole)'}: ${message}`)
  throw new GenesisError(`the genesis is not valid:\n${lines.join('\n')}`)
}

export function accountOf(address: string): Hex {
  return toHex(decodeAddress(address))
}
