import { readFileSync } from 'node:fs'
import { settingsTable } from '@horde/kit/config'
import { describe, expect, it } from 'vitest'
import { readValidatorConfig, validatorSettings } from './config.ts'

const NEEDED = { BITTENSOR_NETUID: '12', BITTENSOR_NETWORK: 'local' }

describe('the settings', () => {
  it('stand in the README as they are', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
    expect(readme).toContain(settingsTable(validatorSettings))
  })

  it('have defaults but for the network and the subnet', () => {
    const config = readValidatorConfig(NEEDED)
    expect(
      config.benchmarkSettings.hashcat.algorithms.map(({ passwordLength, timeoutSeconds }) => [
        passwordLength,
        timeoutSeconds,
      ]),
    ).toEqual([
      [6, 90],
      [5, 45],
      [5, 45],
    ])
    expect(config.limits.resultGraceMs).toBe(11_000)
    expect(config.BITTENSOR_NETWORK).toEqual(['ws://127.0.0.1:9944'])
    expect(config.WEIGHTS_VERSION_KEY).toBe(2)
    expect(config.FACILITATOR_URI).toBeUndefined()
  })

  it('make hashcat jobs of known length, unless scores are those of 2024', () => {
    const known = (env: Record<string, string>) =>
      readValidatorConfig({ ...NEEDED, ...env }).benchmarkSettings.hashcat.knownLength
    expect([known({}), known({ SCORING: 'efficiency' }), known({ SCORING: '2024' })]).toEqual([true, true, false])
  })

  it('make passwords shorter and timeouts other, each by itself', () => {
    const config = readValidatorConfig({
      ...NEEDED,
      ...{ HASHCAT_PASSWORD_LENGTH_SHA384: '3', HASHCAT_TIMEOUT_SECONDS_SHA512: '20.5' },
    })
    expect(config.benchmarkSettings.hashcat.algorithms).toEqual([
      { name: 'sha256', mode: 1410, passwordLength: 6, timeoutSeconds: 90, referenceSeconds: 30 },
      { name: 'sha384', mode: 10810, passwordLength: 3, timeoutSeconds: 45, referenceSeconds: 15 },
      { name: 'sha512', mode: 1710, passwordLength: 5, timeoutSeconds: 20.5, referenceSeconds: 15 },
    ])
  })
})
