import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Demultiplexer } from './container-output.ts'

const frame = fc.record({ stream: fc.constantFrom<1 | 2>(1, 2), bytes: fc.uint8Array({ maxLength: 40 }) })

function encode(frames: { stream: 1 | 2; bytes: Uint8Array }[]): Buffer {
  const parts = frames.map(({ stream, bytes }) => {
    const header = Buffer.alloc(8)
    header[0] = stream
    header.writeUInt32BE(bytes.length, 4)
    return Buffer.concat([header, bytes])
  })
  return Buffer.concat(parts)
}

test('takes frames apart in order, however the transport cuts them', () => {
  void fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (frames, cuts) => {
      const wire = encode(frames)
      const demultiplexer = new Demultiplexer()
      const out = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
      for (let at = 0, turn = 0; at < wire.length; turn += 1) {
        const end = at + (cuts[turn % cuts.length] ?? 1)
        for (const { stream, bytes } of demultiplexer.split(wire.subarray(at, end)))
          out[stream].push(Buffer.from(bytes))
        at = end
      }
      const of = (stream: 1 | 2) => Buffer.concat(frames.filter(each => each.stream === stream).map(each => each.bytes))
      expect(Buffer.concat(out.stdout)).toEqual(of(1))
      expect(Buffer.concat(out.stderr)).toEqual(of(2))
    }),
  )
})

test('takes apart a million frames of one byte in one chunk', () => {
  const one = encode([{ stream: 1, bytes: Buffer.from('x') }])
  const pieces = new Demultiplexer().split(Buffer.concat(Array.from({ length: 1_000_000 }, () => one)))
  expect(pieces.length).toBe(1_000_000)
})
