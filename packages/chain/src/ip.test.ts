import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ipFromNumber, ipToNumber } from './ip.ts'

it.each([
  ['127.0.0.2', 4, 0x7f000002n],
  ['255.255.255.255', 4, 0xffffffffn],
  ['0.0.0.0', 4, 0n],
  ['::1', 6, 1n],
  ['::', 6, 0n],
  ['2001:db8::8a2e:370:7334', 6, 0x20010db80000000000008a2e03707334n],
  ['1::', 6, 1n << 112n],
] as const)('converts %s', (text, ipType, ip) => {
  expect(ipToNumber(text)).toEqual({ ip, ipType })
  expect(ipFromNumber({ ip, ipType })).toBe(text)
})

it('accepts every notation of an IPv6 address', () => {
  expect(ipToNumber('2001:0DB8:0:0:0:0:0:1')).toEqual(ipToNumber('2001:db8::1'))
  expect(ipToNumber('::ffff:1.2.3.4').ip).toBe(0xffff01020304n)
})

it.each(['', 'localhost', '1.2.3', '1.2.3.256', ':::', 'fe80::1%eth0', '1.2.3.4:80'])('refuses %j', text => {
  expect(() => ipToNumber(text)).toThrow(RangeError)
})

it('converts every number to an address and back', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), ip => {
      expect(ipToNumber(ipFromNumber({ ip, ipType: 6 }))).toEqual({ ip, ipType: 6 })
      expect(ipToNumber(ipFromNumber({ ip: ip >> 96n, ipType: 4 }))).toEqual({ ip: ip >> 96n, ipType: 4 })
    }),
  )
})
