import { expect, test } from 'vitest'
import { parseHealthAddress } from './health-address.ts'

test.each([
  ['127.0.0.1:9100', { host: '127.0.0.1', port: 9100 }],
  ['127.1.2.3:0', { host: '127.1.2.3', port: 0 }],
  ['[::1]:65535', { host: '::1', port: 65535 }],
  ['unix:/run/executor.sock', { path: '/run/executor.sock' }],
  ['unix:///run/executor.sock', { path: '/run/executor.sock' }],
])('%s', (text, address) => {
  expect(parseHealthAddress(text)).toEqual(address)
})

test.each([
  '0.0.0.0:9100',
  '10.0.0.5:9100',
  '[::]:9100',
  '[::ffff:127.0.0.1]:9100',
  '::1:9100',
  'localhost:9100',
  '127.0.0.1.example.com:9100',
  '127.0.0.999:9100',
  '127.0.0.1',
  '127.0.0.1:65536',
  ':9100',
  '9100',
  'unix:run/executor.sock',
  `unix:/${'x'.repeat(107)}`,
])('%s is refused', text => {
  expect(parseHealthAddress(text)).toBeUndefined()
})
