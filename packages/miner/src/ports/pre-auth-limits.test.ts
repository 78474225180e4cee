import fc from 'fast-check'
import { expect, it } from 'vitest'
import { addressGroupOf, FrameCounter } from './pre-auth-limits.ts'

/** A frame as a client sends it, or without a mask, in the short or a longer form of its length. */
function frame(length: number, form: 0 | 2 | 8, masked: boolean): Buffer {
  const head = Buffer.alloc(2 + form)
  const mask = masked ? 0x80 : 0
  head[0] = 0x81
  head[1] = mask | (form === 0 ? length : form === 2 ? 126 : 127)
  if (form === 2) head.writeUInt16BE(length, 2)
  if (form === 8) head.writeBigUInt64BE(BigInt(length), 2)
  // 0x81 in the payload must not be taken for another frame.
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), Buffer.alloc(length, 0x81)])
}

const anyFrame = fc
  .record({ length: fc.nat(125), form: fc.constantFrom(0 as const, 2 as const, 8 as const), masked: fc.boolean() })
  .map(({ length, form, masked }) => frame(length, form, masked))

it('counts frames of every form, however their bytes are split', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 40 })), (frames, cuts) => {
      const bytes = Buffer.concat(frames)
      const counter = new FrameCounter()
      let at = 0
      for (const cut of [...cuts, bytes.length]) {
        counter.take(bytes.subarray(at, at + cut))
        at += cut
      }
      expect(counter.frames).toBe(frames.length)
    }),
  )
})

it('counts a frame from its first byte on, whatever length it claims', () => {
  const counter = new FrameCounter()
  counter.take(frame(0, 0, true))
  counter.take(Buffer.from([0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]))
  expect(counter.frames).toBe(2)
  counter.take(Buffer.alloc(10_000))
  expect(counter.frames).toBe(2)
})

it.each([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2:ffff::', '2001:db8:1:2::/64'],
  ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
  ['fe80::1%eth0', 'fe80::/64'],
  ['::1', '::/64'],
])('counts %s to the address group %s', (address, group) => {
  expect(addressGroupOf(address)).toBe(group)
})
