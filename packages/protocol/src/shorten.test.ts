import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fitFrame, shorten } from './shorten.ts'

describe('shorten', () => {
  it('leaves a text that fits unchanged', () => expect(shorten('abc', 3)).toBe('abc'))
  it('keeps head and tail and says how many characters were cut', () => {
    const text = `${'h'.repeat(500)}${'x'.repeat(5000)}${'t'.repeat(500)}`
    const short = shorten(text, 300)
    expect(short.length).toBeLessThanOrEqual(300)
    const [, head = '', cut = '', tail = ''] = /^(h+)\n\[… (\d+) characters cut …\]\n(t+)$/.exec(short) ?? []
    expect(head.length + Number(cut) + tail.length).toBe(text.length)
  })
  it('never exceeds its limit and splits no surrogate pair', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 200 }), fc.integer({ min: 60, max: 150 }), (text, limit) => {
        const short = shorten(text, limit)
        return short.length <= Math.max(limit, text.length) && short.length <= limit && short.isWellFormed()
      }),
    )
  })
})

describe('fitFrame', () => {
  const message = (stdout: string, stderr: string) => ({
    job_uuid: 'u',
    docker_process_stdout: stdout,
    docker_process_stderr: stderr,
  })
  const WRITTEN = {
    ascii: (json: string) => json.replaceAll(/[^ -~]/g, '\\u0000').length,
    'utf-8': (json: string) => Buffer.byteLength(json),
  }

  it('leaves a message that fits unchanged', () => {
    expect(fitFrame(message('a', 'b'), 1000, 'ascii')).toEqual(message('a', 'b'))
    const accents = message('é'.repeat(400), 'b')
    expect(fitFrame(accents, 1000, 'utf-8')).toEqual(accents)
    expect(fitFrame(accents, 1000, 'ascii').docker_process_stdout).toContain('characters cut')
  })
  it.each(['ascii', 'utf-8'] as const)('stays below the limit for any texts in %s, and keeps a short one', encoding => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 3000 }),
      fc.integer({ min: 0, max: 5000 }).map(n => '\u0000'.repeat(n)),
      fc.integer({ min: 0, max: 5000 }).map(n => '😀'.repeat(n)),
    )
    fc.assert(
      fc.property(texts, texts, fc.integer({ min: 200, max: 4000 }), (stdout, stderr, limit) => {
        return WRITTEN[encoding](JSON.stringify(fitFrame(message(stdout, stderr), limit, encoding))) <= limit
      }),
    )
    expect(fitFrame(message('x'.repeat(100_000), 'short'), 10_000, encoding).docker_process_stderr).toBe('short')
  })
  it('uses most of the allowed size', () => {
    const fitted = fitFrame(message('x'.repeat(5_000_000), ''), 1_000_000, 'ascii')
    expect(fitted.docker_process_stdout.length).toBeGreaterThan(900_000)
  })
})
