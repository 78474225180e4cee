import type { Benchmark, Judgement } from './benchmark.ts'
import { type Algorithm, algorithmAt, commandFor, hashLine, keySpace, randomPassword, randomSalt } from './hashcat.ts'
import { zipOf } from './zip-of.ts'

/** The last of so many passwords lies at 98.5 % of the key space in the mean, give or take 1.5 %. */
const PASSWORDS = 64

/** Executors of 2024 pass on only the first and the last 100 characters of an answer that is longer. */
const LONGEST_ANSWER = 999
/** Characters that may end a line of an answer. */
const LINE_END = 2

const HASH_FILE = 'hashes.txt'

/** How many passwords a job asks for: as many as an answer holds, and at most half of those that there are. */
export function passwordCount(algorithm: Algorithm): number {
  const fitting = Math.floor(LONGEST_ANSWER / (algorithm.passwordLength + LINE_END))
  return Math.min(PASSWORDS, fitting, Math.floor(keySpace(algorithm) / 2))
}

/**
 * Passwords to find, all of one salt, on an image whose entry point is hashcat: work of known length, because nearly the
 * whole key space must be searched for the last one. The hashes are in a file of /volume, and hashcat, its modes and the
 * image are those of the job with one password, so miners of 2024 can do it as well.
 */
export function hashcatListBenchmark(algorithms: readonly [Algorithm, ...Algorithm[]], image: string): Benchmark {
  return {
    name: 'hashcat-list',
    prepare: async batchStartMs => {
      const algorithm = algorithmAt(batchStartMs, algorithms)
      const passwords = makePasswords(algorithm)
      const salt = randomSalt()
      const lines = passwords.map(password => `${hashLine(algorithm, password, salt)}\n`)
      return {
        label: algorithm.name,
        image,
        command: commandFor(algorithm, `/volume/${HASH_FILE}`),
        input: await zipOf(HASH_FILE, lines.join('')),
        timeoutSeconds: algorithm.timeoutSeconds,
        referenceSeconds: referenceSeconds(algorithm),
        challenge: { passwords },
      }
    },
    verify: ({ passwords }, { stdout }) => judge(passwords as string[], stdout),
  }
}

function makePasswords(algorithm: Algorithm): string[] {
  const passwords = new Set<string>()
  while (passwords.size < passwordCount(algorithm)) passwords.add(randomPassword(algorithm))
  return [...passwords]
}

/**
 * What finding all of them takes, in seconds: the last of n lies at n / (n + 1) of the key space in the mean, and the setting
 * is for a lone password, which lies in its middle.
 */
function referenceSeconds(algorithm: Algorithm): number {
  const count = passwordCount(algorithm)
  return (algorithm.referenceSeconds * 2 * count) / (count + 1)
}

/** The order of the answers does not count, but each of them does. */
function judge(passwords: readonly string[], stdout: string): Judgement {
  const said = new Set(stdout.split('\n').map(line => line.trim()))
  said.delete('')
  const missing = passwords.filter(password => !said.has(password)).length
  if (missing > 0) return { score: 0, comment: `${missing} of ${passwords.length} passwords were not found.` }
  if (said.size > passwords.length) return { score: 0, comment: 'More was said than the passwords.' }
  return { score: 1, comment: `All ${passwords.length} passwords were found.` }
}
