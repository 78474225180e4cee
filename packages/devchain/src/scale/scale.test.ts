import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runtimeCall } from '../table/runtime-call.ts'
import '../pallets/runtime.ts'
import { era } from './accounts.ts'
import { fromHex, ScaleError, toHex } from './bytes.ts'
import { bytes, option, tuple, vec } from './composites.ts'
import { bool, compactU16, compactU64, i64, text, u8, u16, u32, u64, u128 } from './primitives.ts'
import { decode, encode, encodeHex, type Type } from './type.ts'

/** From the examples of the SCALE specification. */
test.each<[string, Type<unknown>, unknown, string]>([
  ['u16', u16, 42, '0x2a00'],
  ['u32', u32, 16_777_215, '0xffffff00'],
  ['i64', i64, -2n, '0xfeffffffffffffff'],
  ['compact 0', compactU64, 0n, '0x00'],
  ['compact 1', compactU64, 1n, '0x04'],
  ['compact 42', compactU64, 42n, '0xa8'],
  ['compact 69', compactU64, 69n, '0x1501'],
  ['compact 65535', compactU64, 65_535n, '0xfeff0300'],
  ['compact 10^14', compactU64, 100_000_000_000_000n, '0x0b00407a10f35a'],
  ['vec', vec(u16), [4, 8, 15, 16, 23, 42], '0x18040008000f00100017002a00'],
  ['tuple', tuple(compactU16, bool), [3, false], '0x0c00'],
  ['text', text, 'é', '0x08c3a9'],
  ['none', option(u8), null, '0x00'],
  ['some', option(u8), 7, '0x0107'],
])('%s', (_name, type, value, hex) => {
  expect(encodeHex(type, value)).toBe(hex)
  expect(decode(type, fromHex(hex))).toEqual(value)
})

describe('an era', () => {
  test('is encoded like polkadot.js does', () => {
    expect(encodeHex(era, null)).toBe('0x00')
    expect(encodeHex(era, { period: 64, phase: 42 })).toBe('0xa502')
    expect(decode(era, fromHex('0xa502'))).toEqual({ period: 64, phase: 42 })
    expect(decode(era, fromHex(encodeHex(era, { period: 32_768, phase: 20_000 })))).toEqual({
      period: 32_768,
      phase: 20_000,
    })
  })

  test('is refused with a phase beyond its period', () => {
    expect(() => decode(era, fromHex('0xf5ff'))).toThrow(ScaleError)
  })
})

test('decodes what it encoded', () => {
  const type = vec(tuple(u128, option(bytes), vec(compactU64)))
  const value = fc.array(
    fc.tuple(
      fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
      fc.option(fc.uint8Array()),
      fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
    ),
  )
  fc.assert(
    fc.property(value, one => {
      expect(decode(type, encode(type, one as never))).toEqual(one)
    }),
  )
})

test('decoders throw only ScaleError, for any input', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0, 5, 7, 11, 12, 19), (noise, pallet) => {
      const input = new Uint8Array([pallet, ...noise])
      try {
        // A decoded value encodes to the same bytes, or to fewer (compact integers).
        expect(encode(runtimeCall, decode(runtimeCall, input)).length).toBeLessThanOrEqual(input.length)
      } catch (error) {
        expect(error).toBeInstanceOf(ScaleError)
      }
    }),
    { numRuns: 2000 },
  )
})

test('limits the depth of calls inside calls', () => {
  const batches = Array.from({ length: 3000 }, (_, i) => [11, 0, 4][i % 3] as number)
  expect(() => decode(runtimeCall, new Uint8Array(batches))).toThrow('nested too deep')
  expect(() => decode(vec(u64), fromHex('0xfeffffff'))).toThrow(ScaleError)
})

test('refuses invalid hex', () => {
  expect(toHex(fromHex('0x00FF'))).toBe('0x00ff')
  for (const wrong of ['', '00', '0x0', '0xzz', ' 0x00']) expect(() => fromHex(wrong)).toThrow(ScaleError)
})
