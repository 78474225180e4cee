import { describe, expect, it } from 'vitest'
import { ALGORITHMS, algorithmAt, type Challenge, commandOf, hashcatBenchmark, makeChallenge } from './hashcat.ts'

const [sha256, sha384, sha512] = ALGORITHMS

describe('algorithmAt', () => {
  it('rotates over all 24 hours of a UTC day', () => {
    const day = Date.UTC(2024, 3, 15)
    const names = Array.from({ length: 24 }, (_, hour) => algorithmAt(day + hour * 3_600_000 + 1_234_567).name)
    expect(names).toEqual(Array.from({ length: 8 }, () => ['sha256', 'sha384', 'sha512']).flat())
  })

  it('changes exactly on the hour', () => {
    const noon = Date.UTC(2026, 0, 31, 12)
    expect(algorithmAt(noon - 1).mode).toBe(1710)
    expect(algorithmAt(noon).mode).toBe(1410)
    expect(algorithmAt(noon + 3_599_999).mode).toBe(1410)
    expect(algorithmAt(noon + 3_600_000).mode).toBe(10810)
  })

  it('uses the strengths of the network', () => {
    expect([sha256, sha384, sha512].map(a => [a.mode, a.passwordLength, a.timeoutSeconds])).toEqual([
      [1410, 6, 90],
      [10810, 5, 45],
      [1710, 5, 45],
    ])
  })
})

describe('commandOf', () => {
  // These hashes come from sha256sum, sha384sum and sha512sum of the password followed by the salt's bytes.
  const SHA256 = 'cf0ecfd856bdf5b5cda81c85604bc49ff63b1501338f9e7903b6dafbffc79a74'
  const SHA384 = 'c150727258a5cde981993c7f8da0679e750d2c32858b33ba4cbb3d8e8dffc3c06b37243a04b74c8fcfc19517d532d1aa'
  const SHA512 =
    'e0eb92485aece575a91e53ccd4f237786b228fd0cf5871b9dea0a27cd957a09a' +
    '8edf2e9c87102e217509cfb88eb4140c4ef53172ea50a8ec86c65dd496db087f'
  const salt = Uint8Array.from([0, 1, 2, 3, 252, 253, 254, 255])
  const SALT = '00010203fcfdfeff'
  const fixed =
    '--runtime 600 --restore-disable --attack-mode 3 --workload-profile 3 --optimized-kernel-enable --hash-type'
  const rest = '--hex-salt -1 ?l?d?u --outfile-format 2 --quiet'
  const cases: [Challenge, string][] = [
    [{ algorithm: sha256, password: 'aB3xYz', salt }, `${fixed} 1410 ${rest} ${SHA256}:${SALT} ?1?1?1?1?1?1`],
    [{ algorithm: sha384, password: 'aB3xY', salt }, `${fixed} 10810 ${rest} ${SHA384}:${SALT} ?1?1?1?1?1`],
    [{ algorithm: sha512, password: 'aB3xY', salt }, `${fixed} 1710 ${rest} ${SHA512}:${SALT} ?1?1?1?1?1`],
  ]

  it.each(cases)('is exactly what v0 miners expect: %#', (challenge, expected) => {
    expect(commandOf(challenge)).toEqual(expected.split(' '))
  })
})

describe('makeChallenge', () => {
  it('makes unique passwords of the right length and alphabet, with a salt of 8 bytes', () => {
    const challenges = Array.from({ length: 200 }, () => makeChallenge(sha256))
    for (const { password, salt } of challenges) {
      expect(password).toMatch(/^[a-zA-Z0-9]{6}$/)
      expect(salt).toHaveLength(8)
    }
    expect(new Set(challenges.map(({ password }) => password)).size).toBe(200)
    expect(new Set(challenges.map(({ salt }) => Buffer.from(salt).toString('hex'))).size).toBe(200)
    const used = new Set(challenges.flatMap(({ password }) => [...password]))
    expect(used.size).toBe(62)
  })
})

describe('hashcatBenchmark', () => {
  const benchmark = hashcatBenchmark([{ ...sha512, passwordLength: 3 }], 'image:v0')
  const isRight = (password: string, stdout: string) =>
    benchmark.verify({ password }, { stdout, stderr: '' }).score === 1

  it('accepts only the password, with white space around it', () => {
    expect(isRight('aB3', 'aB3')).toBe(true)
    expect(isRight('aB3', '\n aB3\r\n')).toBe(true)
    expect(isRight('aB3', '')).toBe(false)
    expect(isRight('aB3', 'AB3')).toBe(false)
    expect(isRight('aB3', 'aB3 aB3')).toBe(false)
  })

  it('makes new work for each job, whose command does not show the password', async () => {
    const [one, other] = [await benchmark.prepare(0), await benchmark.prepare(0)]
    expect(one).toMatchObject({ label: 'sha512', image: 'image:v0', timeoutSeconds: 45, referenceSeconds: 15 })
    expect(one.command.at(-1)).toBe('?1?1?1')
    expect(one.command.slice(0, -1).join(' ')).not.toContain(` ${one.challenge.password} `)
    expect(one.challenge).not.toEqual(other.challenge)
  })
})
