import { type Benchmark, type Judgement, zipOf } from './benchmark.ts'
import { type Algorithm, algorithmAt, commandFor, hashLine, keySpace, randomPassword, randomSalt } from './hashcat.ts'

/** Passwords per job. The last of 64 is at 98.5 % ± 1.5 % of the key space on average. */
const PASSWORDS = 64

/** The longest answer, in characters. Of a longer one, `v0` executors return only the first and the last 100. */
const LONGEST_ANSWER = 999
/** Characters at the end of a line of an answer, at most: CR and LF. */
const LINE_END = 2

const HASH_FILE = 'hashes.txt'

/** Returns the number of passwords of a job: 64, but no more than an answer can hold or half of all passwords. */
export function passwordCount(algorithm: Algorithm): number {
  const fitting = Math.floor(LONGEST_ANSWER / (algorithm.passwordLength + LINE_END))
  return Math.min(PASSWORDS, fitting, Math.floor(keySpace(algorithm) / 2))
}

/**
 * Makes the benchmark whose jobs find a list of passwords with one salt, on an image whose entry point is hashcat. Its
 * work has a known length, because finding the last password takes a search of nearly the whole key space. The hashes
 * are in a file in /volume. The image and hashcat's modes are those of the benchmark with one password, so `v0` miners
 * can run it.
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
 * Returns how long the reference takes to find all passwords, in seconds. The last of n is on average at n / (n + 1) of
 * the key space. The algorithm's own reference is for a single password, which is on average in the middle.
 */
function referenceSeconds(algorithm: Algorithm): number {
  const count = passwordCount(algorithm)
  return (algorithm.referenceSeconds * 2 * count) / (count + 1)
}

/** Judges an answer: it must contain every password, in any order, and nothing else. */
function judge(passwords: readonly string[], stdout: string): Judgement {
  const found = new Set(stdout.split('\n').map(line => line.trim()))
  found.delete('')
  const missing = passwords.filter(password => !found.has(password)).length
  if (missing > 0) return { score: 0, comment: `${missing} of ${passwords.length} passwords were not found.` }
  if (found.size > passwords.length) return { score: 0, comment: 'The answer contains more than the passwords.' }
  return { score: 1, comment: `All ${passwords.length} passwords were found.` }
}
