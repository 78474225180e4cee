import { readFile } from 'node:fs/promises'
import { minerSettings } from '@horde/miner/config'
import { validatorSettings } from '@horde/validator/config'
import { expect, it } from 'vitest'
import { envExample } from '../../src/env-example.ts'

it.each(['validator', 'miner'] as const)('docker/%s.env.example matches the settings in the code', async role => {
  const file = await readFile(new URL(`../../../../docker/${role}.env.example`, import.meta.url), 'utf8')
  expect(file, `run: node packages/deploy/src/main.ts ${role} > docker/${role}.env.example`).toBe(envExample(role))
})

it.each([
  ['validator', validatorSettings],
  ['miner', minerSettings],
] as const)('the example of a %s leaves exactly the required settings empty', (role, settings) => {
  const open = [...envExample(role).matchAll(/^(\w+)=$/gm)].map(([, name]) => name)
  const required = Object.entries(settings).filter(([, { schema }]) => !schema.safeParse(undefined).success)
  expect(open).toEqual(['POSTGRES_PASSWORD', ...required.map(([name]) => name)])
})
