import { createHash, randomBytes, randomInt } from 'node:crypto'
import type { Benchmark } from './benchmark.ts'

const MS_PER_HOUR = 3_600_000
const SALT_BYTES = 8

/** The characters of a password: hashcat's `?l?d?u`. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'

export type AlgorithmName = 'sha256' | 'sha384' | 'sha512'

/** A hash algorithm, and the strength of its passwords. */
export interface Algorithm {
  readonly name: AlgorithmName
  /** hashcat's mode for `hash(password ‖ salt)`. */
  readonly mode: 1410 | 10810 | 1710
  readonly passwordLength: number
  readonly timeoutSeconds: number
  /** How long an executor of reference speed takes, on average. */
  readonly referenceSeconds: number
}

/** The algorithms of the network, in the order of the hours, with the strengths of 2024. */
export const ALGORITHMS: readonly [Algorithm, Algorithm, Algorithm] = [
  { name: 'sha256', mode: 1410, passwordLength: 6, timeoutSeconds: 90, referenceSeconds: 30 },
  { name: 'sha384', mode: 10810, passwordLength: 5, timeoutSeconds: 45, referenceSeconds: 15 },
  { name: 'sha512', mode: 1710, passwordLength: 5, timeoutSeconds: 45, referenceSeconds: 15 },
]

/**
 * Returns the algorithm for a time, by its UTC hour: hour 0 has the first, hour 1 the second, and so on in rotation.
 *
 * @param nowMs in ms since the epoch
 */
export function algorithmAt(nowMs: number, algorithms: readonly [Algorithm, ...Algorithm[]] = ALGORITHMS): Algorithm {
  const hour = Math.floor(nowMs / MS_PER_HOUR) % 24
  return algorithms[hour % algorithms.length] ?? algorithms[0]
}

/** A password to find, with the salt of its hash. */
export interface Challenge {
  readonly algorithm: Algorithm
  readonly password: string
  readonly salt: Uint8Array
}

/** Makes a random challenge, from a cryptographic source. */
export function makeChallenge(algorithm: Algorithm): Challenge {
  return { algorithm, password: randomPassword(algorithm), salt: randomSalt() }
}

/** Makes a random password of the algorithm's length. */
export function randomPassword({ passwordLength }: Algorithm): string {
  return Array.from({ length: passwordLength }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

/** Makes a random salt. */
export const randomSalt = (): Uint8Array => randomBytes(SALT_BYTES)

/** Returns the number of possible passwords. */
export const keySpace = ({ passwordLength }: Algorithm): number => ALPHABET.length ** passwordLength

/** Returns hashcat's arguments for a challenge, exactly those that a v0 validator sends. */
export function commandOf({ algorithm, password, salt }: Challenge): string[] {
  return commandFor(algorithm, hashLine(algorithm, password, salt))
}

/** Returns hashcat's arguments for a target: a hash, or the path of a file with hashes. */
export function commandFor(algorithm: Algorithm, target: string): string[] {
  return [
    ...['--runtime', '600', '--restore-disable', '--attack-mode', '3', '--workload-profile', '3'],
    ...['--optimized-kernel-enable', '--hash-type', String(algorithm.mode), '--hex-salt', '-1', '?l?d?u'],
    ...['--outfile-format', '2', '--quiet'],
    target,
    '?1'.repeat(algorithm.passwordLength),
  ]
}

/** Returns a hash with its salt in the form that hashcat reads. */
export function hashLine({ name }: Algorithm, password: string, salt: Uint8Array): string {
  const hash = createHash(name).update(password).update(salt).digest('hex')
  return `${hash}:${Buffer.from(salt).toString('hex')}`
}

/**
 * Makes the benchmark whose jobs find one password, on an image whose entry point is hashcat, as in the Python
 * validator. The length of the work is random, since the password can be anywhere in the key space. White space around
 * the answer is ignored.
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
        : { score: 0, comment: 'The answer is not the password.' },
  }
}
