import { createHash, randomBytes, randomInt } from 'node:crypto'
import type { Benchmark } from './benchmark.ts'

const MS_PER_HOUR = 3_600_000
const SALT_BYTES = 8

/** What hashcat's `?l?d?u` stands for: the characters of a password. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'

export type AlgorithmName = 'sha256' | 'sha384' | 'sha512'

/** A kind of hash to crack. */
export interface Algorithm {
  readonly name: AlgorithmName
  /** hashcat's number for `hash(password ‖ salt)`. */
  readonly mode: 1410 | 10810 | 1710
  readonly passwordLength: number
  readonly timeoutSeconds: number
  /** How long an executor that is just good enough takes. */
  readonly referenceSeconds: number
}

/** Those of the network, in the order in which the hours bring them; the strengths are those of 2024. */
export const ALGORITHMS: readonly [Algorithm, Algorithm, Algorithm] = [
  { name: 'sha256', mode: 1410, passwordLength: 6, timeoutSeconds: 90, referenceSeconds: 30 },
  { name: 'sha384', mode: 10810, passwordLength: 5, timeoutSeconds: 45, referenceSeconds: 15 },
  { name: 'sha512', mode: 1710, passwordLength: 5, timeoutSeconds: 45, referenceSeconds: 15 },
]

/**
 * The algorithm of a moment, by its UTC hour: 0 → the first, 1 → the second, and round again.
 *
 * @param nowMs ms since the epoch
 */
export function algorithmAt(nowMs: number, algorithms: readonly [Algorithm, ...Algorithm[]] = ALGORITHMS): Algorithm {
  const hour = Math.floor(nowMs / MS_PER_HOUR) % 24
  return algorithms[hour % algorithms.length] ?? algorithms[0]
}

/** A salted hash, and the password behind it. */
export interface Challenge {
  readonly algorithm: Algorithm
  readonly password: string
  readonly salt: Uint8Array
}

/** A challenge that nobody can foresee. */
export function makeChallenge(algorithm: Algorithm): Challenge {
  return { algorithm, password: randomPassword(algorithm), salt: randomSalt() }
}

export function randomPassword({ passwordLength }: Algorithm): string {
  return Array.from({ length: passwordLength }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

export const randomSalt = (): Uint8Array => randomBytes(SALT_BYTES)

/** How many passwords there are of a length. */
export const keySpace = ({ passwordLength }: Algorithm): number => ALPHABET.length ** passwordLength

/** hashcat's arguments for a challenge, byte for byte those that Python validators send. */
export function commandOf({ algorithm, password, salt }: Challenge): string[] {
  return commandFor(algorithm, hashLine(algorithm, password, salt))
}

/** hashcat's arguments for what is to be cracked: a hash, or a file of hashes. */
export function commandFor(algorithm: Algorithm, target: string): string[] {
  return [
    ...['--runtime', '600', '--restore-disable', '--attack-mode', '3', '--workload-profile', '3'],
    ...['--optimized-kernel-enable', '--hash-type', String(algorithm.mode), '--hex-salt', '-1', '?l?d?u'],
    ...['--outfile-format', '2', '--quiet'],
    target,
    '?1'.repeat(algorithm.passwordLength),
  ]
}

/** A hash with its salt, as hashcat reads it. */
export function hashLine({ name }: Algorithm, password: string, salt: Uint8Array): string {
  const hash = createHash(name).update(password).update(salt).digest('hex')
  return `${hash}:${Buffer.from(salt).toString('hex')}`
}

/**
 * A password to find, on an image whose entry point is hashcat, as Python validators ask for it. Where in the key space it
 * lies is luck. White space around an answer does not count.
 */
export function hashcatBenchmark(algorithms: readonly [Algorithm, ...Algorithm[]], image: string): Benchmark {
  return {
    name: 'hashcat',
    prepare: batchStartMs => {
      const challenge = makeChallenge(algorithmAt(batchStartMs, algorithms))
      const { name, timeoutSeconds, referenceSeconds } = challenge.algorithm
      return {
        ...{ label: name, image, command: commandOf(challenge), timeoutSeconds, referenceSeconds },
        challenge: { password: challenge.password },
      }
    },
    verify: ({ password }, { stdout }) =>
      stdout.trim() === password
        ? { score: 1, comment: 'The password was found.' }
        : { score: 0, comment: 'What was said is not the password.' },
  }
}
