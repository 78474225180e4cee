import { expect, it } from 'vitest'
import { isPrivateAddress } from './serving.ts'

it.each(['127.0.0.1', '127.0.0.2', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254'])(
  '%s is private',
  ip => expect(isPrivateAddress(ip)).toBe(true),
)
it.each(['100.64.0.1', '0.0.0.0', '::1', '::', 'fe80::1', 'fd00::1', '::ffff:127.0.0.1', '::ffff:a00:1'])(
  '%s is private as well',
  ip => expect(isPrivateAddress(ip)).toBe(true),
)
it.each(['1.1.1.1', '172.32.0.1', '172.15.255.255', '11.0.0.1', '2606:4700::1111', '::ffff:1.1.1.1'])('%s is not', ip =>
  expect(isPrivateAddress(ip)).toBe(false),
)
