import { readFile } from 'node:fs/promises'
import { minerSettings } from '@horde/miner/config'
import { validatorSettings } from '@horde/validator/config'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { composeSettings, SHELL_VARIABLES } from '../../src/compose-settings.ts'
import { FIXED_BY_COMPOSE } from '../../src/env-example.ts'

type Service = {
  image: string
  restart: string
  profiles?: string[]
  ports?: string[]
  volumes?: string[]
  environment?: Record<string, string>
  logging: unknown
  mem_limit?: string
  security_opt?: string[]
  cap_drop?: string[]
  healthcheck?: unknown
  depends_on?: Record<string, unknown>
}
type Compose = { services: Record<string, Service>; volumes: Record<string, unknown> }

const path = (role: string) => new URL(`../../../../docker/compose.${role}.yml`, import.meta.url)

describe.each([
  ['validator', validatorSettings],
  ['miner', minerSettings],
] as const)('compose.%s.yml', (role, settings) => {
  const text = () => readFile(path(role), 'utf8')
  const compose = async () => parse(await text(), { merge: true }) as Compose

  it('uses exactly the variables of composeSettings, with the same defaults', async () => {
    const used = [...(await text()).matchAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g)]
    const wrong = used.filter(([, name = '', kind, value]) => {
      if (SHELL_VARIABLES.includes(name)) return false
      const known = composeSettings(role) as Record<string, { schema: { safeParse(text: undefined): unknown } }>
      const read = known[name]?.schema.safeParse(undefined) as { success: boolean; data?: unknown } | undefined
      if (read === undefined) return true
      // A required variable is marked as such (`:?`) only where the file uses it first. Compose stops there.
      return read.success ? kind !== '-' || value !== String(read.data) : kind !== '?'
    })
    expect(wrong.map(([whole]) => whole)).toEqual([])
    const names = used.map(([, name]) => name)
    expect(Object.keys(composeSettings(role)).filter(name => !names.includes(name))).toEqual([])
  })

  it('sets exactly the settings of FIXED_BY_COMPOSE', async () => {
    const { environment = {} } = (await compose()).services[role] as Service
    const fixed = FIXED_BY_COMPOSE.filter(name => Object.hasOwn(settings, name))
    expect(Object.keys(environment).sort()).toEqual(fixed.toSorted())
  })

  it('publishes only the public port of the miner beyond loopback', async () => {
    const { services } = await compose()
    const ports = Object.values(services).flatMap(({ ports = [] }) => ports)
    const open = ports.filter(port => !port.startsWith('127.0.0.1:'))
    const miners = ['$' + '{PUBLIC_ADDRESS:-0.0.0.0}:$' + '{PUBLIC_PORT:-8000}:$' + '{PUBLIC_PORT:-8000}']
    expect(open).toEqual(role === 'miner' ? miners : [])
  })

  it('limits memory and logs of every permanent service, and restarts it', async () => {
    const { services } = await compose()
    const logging = { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '5' } }
    for (const [name, service] of Object.entries(services)) {
      expect(service.logging, name).toEqual(logging)
      if (name === 'executor-image') continue
      expect(service, name).toMatchObject({ restart: 'unless-stopped', security_opt: ['no-new-privileges:true'] })
      expect(service.mem_limit, name).toBeDefined()
    }
  })

  it('mounts everything read-only, except the engine socket and /tmp of the miner', async () => {
    const { volumes = [] } = (await compose()).services[role] as Service
    const writable = volumes.filter(volume => !volume.endsWith(':ro'))
    const socket = '$' + '{DOCKER_SOCKET:-/var/run/docker.sock}'
    expect(writable).toEqual(role === 'miner' ? [`${socket}:${socket}`, 'temporary:/tmp'] : [])
  })

  it('uses no key that docker-compose 1.29 does not know', async () => {
    const whole = await text()
    expect(parse(whole)).not.toHaveProperty('name')
    expect(whole).not.toMatch(/^\s*(include|gpus|pull_policy|develop|extends|attach):/m)
  })

  it('starts Prometheus and Grafana only with the profile monitoring', async () => {
    const { services } = await compose()
    const profiled = Object.entries(services).filter(([, { profiles }]) => profiles !== undefined)
    expect(profiled.map(([name, { profiles }]) => [name, profiles])).toEqual([
      ['prometheus', ['monitoring']],
      ['grafana', ['monitoring']],
    ])
  })
})
