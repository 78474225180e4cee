import { createHash } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { fromBufferPromise } from 'yauzl'
import type { Work } from '../db/json-columns.ts'
import { ALGORITHMS, type Algorithm } from './hashcat.ts'
import { hashcatListBenchmark, passwordCount } from './hashcat-list.ts'

const HOUR_MS = 3_600_000
const [sha256, , sha512] = ALGORITHMS

const workOf = async (algorithm: Algorithm) => hashcatListBenchmark([algorithm], 'image:v0').prepare(0)
const passwordsOf = ({ challenge }: Work) => challenge.passwords as string[]

/** Returns the only file in a work's input. */
async function fileOf({ input = '' }: Work): Promise<{ name: string; text: string }> {
  const zip = await fromBufferPromise(Buffer.from(input, 'base64'))
  for await (const entry of zip.eachEntry()) {
    return { name: entry.fileName, text: await text(await zip.openReadStreamPromise(entry)) }
  }
  throw new Error('the zip is empty')
}

describe('prepare', () => {
  it('uses the command for one password, with a file of hashes', async () => {
    const work = await workOf(sha256)
    expect(work).toMatchObject({ label: 'sha256', image: 'image:v0', timeoutSeconds: 90 })
    expect(work.command.join(' ')).toBe(
      '--runtime 600 --restore-disable --attack-mode 3 --workload-profile 3 --optimized-kernel-enable ' +
        '--hash-type 1410 --hex-salt -1 ?l?d?u --outfile-format 2 --quiet /volume/hashes.txt ?1?1?1?1?1?1',
    )
  })

  it('puts the hashes of its passwords into that file, all with one salt', async () => {
    const work = await workOf(sha512)
    const { name, text: contents } = await fileOf(work)
    expect(name).toBe('hashes.txt')
    const lines = contents.trimEnd().split('\n')
    const salts = new Set(lines.map(line => line.split(':')[1]))
    expect(salts.size).toBe(1)
    const [salt = ''] = salts
    const hash = (password: string) => createHash('sha512').update(password).update(Buffer.from(salt, 'hex'))
    expect(lines).toEqual(passwordsOf(work).map(password => `${hash(password).digest('hex')}:${salt}`))
  })

  it('uses new passwords each time, none twice, and does not show them to the miner', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => workOf(sha256)))
    const all = made.flatMap(passwordsOf)
    expect(new Set(all).size).toBe(20 * 64)
    for (const work of made) {
      const seen = `${work.command.join(' ')} ${(await fileOf(work)).text}`
      expect(passwordsOf(work).filter(password => seen.includes(password))).toEqual([])
    }
  })

  it('changes the algorithm with the hour, as the benchmark with one password does', async () => {
    const benchmark = hashcatListBenchmark(ALGORITHMS, 'image:v0')
    const labels = await Promise.all([0, 1, 2, 3].map(async hour => (await benchmark.prepare(hour * HOUR_MS)).label))
    expect(labels).toEqual(['sha256', 'sha384', 'sha512', 'sha256'])
  })

  it('has the reference time of the last password', async () => {
    const work = await workOf(sha256)
    // 30 s is for one password in the middle of the key space. The last of 64 is at 64 / 65 of it.
    expect(work.referenceSeconds).toBeCloseTo(60 * (64 / 65), 9)
  })
})

describe('passwordCount', () => {
  it.each([...Array(15).keys()].map(length => length + 1))(
    'keeps the answer below 1,000 characters with passwords of length %i',
    length => {
      const count = passwordCount({ ...sha256, passwordLength: length })
      expect(count * (length + 2)).toBeLessThan(1_000)
      expect(count).toBeGreaterThan(16)
    },
  )

  it('is at most half of all possible passwords', () => {
    expect(passwordCount({ ...sha256, passwordLength: 1 })).toBe(31)
    expect(passwordCount({ ...sha256, passwordLength: 2 })).toBe(64)
  })
})

describe('verify', () => {
  const benchmark = hashcatListBenchmark([sha256], 'image:v0')
  const judge = (stdout: string) => benchmark.verify({ passwords: ['aaa', 'bbb', 'ccc'] }, { stdout, stderr: '' })

  it('accepts every password in any order, with any line ends', () => {
    expect(judge('aaa\nbbb\nccc\n').score).toBe(1)
    expect(judge('\r\nccc\r\naaa\r\nbbb').score).toBe(1)
  })

  it.each([
    ['without a password', 'aaa\nccc\n', '1 of 3 passwords were not found.'],
    ['that is empty', '', '3 of 3 passwords were not found.'],
    ['with two passwords on one line', 'aaa bbb\nccc', '2 of 3 passwords were not found.'],
    ['in another case', 'aaa\nbbb\nCCC', '1 of 3 passwords were not found.'],
    ['with an extra line', 'aaa\nbbb\nccc\nddd', 'The answer contains more than the passwords.'],
  ])('rejects an answer %s', (_, stdout, comment) => {
    expect(judge(stdout)).toEqual({ score: 0, comment })
  })
})
