import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ALGORITHMS } from './hashcat.ts'
import { loadBenchmark } from './load-benchmark.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'benchmark-'))
})
afterAll(() => rm(folder, { recursive: true }))

let files = 0
/** Writes a module with this text and loads it. */
async function load(text: string) {
  files += 1
  const path = join(folder, `${files}.ts`)
  await writeFile(path, text)
  return named(path)
}

const named = (benchmark: string, knownLength = true) =>
  loadBenchmark({
    benchmark,
    hashcat: { image: 'hashcat:v0', algorithms: ALGORITHMS, knownLength },
    echo: { image: 'echo:v0', timeoutSeconds: 30, referenceSeconds: 2 },
  })

const WORK = `{ label: 'sum', image: 'sum:v1', command: ['1', '2'],
  timeoutSeconds: 60, referenceSeconds: 10, challenge: { sum: 3 } }`
const VERIFY = `({ sum }, { stdout }) => ({ score: Number(stdout) === sum ? 1 : 0, comment: 'Said ' + stdout + '.' })`

describe('loadBenchmark', () => {
  it('loads hashcat and echo by name', async () => {
    for (const [knownLength, name] of [
      [true, 'hashcat-list'],
      [false, 'hashcat'],
    ] as const) {
      const hashcat = await named('hashcat', knownLength)
      expect(hashcat.name).toBe(name)
      expect(await hashcat.prepare(0)).toMatchObject({ label: 'sha256', image: 'hashcat:v0' })
    }
    const echo = await named('echo')
    const work = await echo.prepare(0)
    expect(work).toMatchObject({ label: 'echo', image: 'echo:v0', timeoutSeconds: 30, referenceSeconds: 2 })
    const { payload } = work.challenge
    expect(Buffer.from(work.input ?? '', 'base64').toString('latin1')).toContain(payload)
    expect(echo.verify(work.challenge, { stdout: String(payload), stderr: '' })).toMatchObject({ score: 1 })
    expect(echo.verify(work.challenge, { stdout: `${payload}\n`, stderr: '' }), 'byte for byte').toMatchObject({
      score: 0,
    })
  })

  it("loads an operator's own module by its path", async () => {
    const benchmark = await load(`export default { name: 'sum', prepare: () => (${WORK}), verify: ${VERIFY} }`)
    expect(benchmark.name).toBe('sum')
    const work = await benchmark.prepare(0)
    expect(work).toMatchObject({ label: 'sum', command: ['1', '2'] })
    expect(benchmark.verify(work.challenge, { stdout: '3', stderr: '' })).toEqual({ score: 1, comment: 'Said 3.' })
  })

  it('loads an instance of a class with an asynchronous prepare', async () => {
    const benchmark = await load(`class Sum { name = 'sum'; work = ${WORK}
      async prepare() { return this.work }
      verify(challenge: { sum: number }, answer: { stdout: string }) { return (${VERIFY})(challenge, answer) } }
      export default new Sum()`)
    expect(await benchmark.prepare(0)).toMatchObject({ label: 'sum' })
  })

  it.each([
    ['does not exist', undefined, /cannot load the benchmark .*no such file/],
    ['does not parse', 'export default {', /cannot load the benchmark/],
    ['has no default export', 'export const name = 1', /is not a benchmark/],
    [
      'has no verify',
      `export default { name: 'sum', prepare: () => (${WORK}) }`,
      /is not a benchmark: verify: must be a function/,
    ],
  ])('explains what is wrong with a module that %s', async (_, text, message) => {
    const loading = text === undefined ? named(join(folder, 'nowhere.ts')) : load(text)
    await expect(loading).rejects.toMatchObject({ name: 'BenchmarkError', message: expect.stringMatching(message) })
  })

  it('explains what is wrong with a value that a module returns', async () => {
    const benchmark = await load(
      `export default { name: 'sum', prepare: () => ({ ...${WORK}, timeoutSeconds: -1 }),
        verify: () => ({ score: 7, comment: '' }) }`,
    )
    await expect(benchmark.prepare(0)).rejects.toThrow(/prepare of .* returned an invalid value: timeoutSeconds/)
    const verifying = () => benchmark.verify({}, { stdout: '', stderr: '' })
    expect(verifying).toThrow(/verify of .* returned an invalid value: score/)
  })
})
