/** The credentials of this host for private registries, as Docker's config.json holds them. */

import { parseImageName } from '@horde/engine/images/image-name'
import { z } from 'zod'

export interface RegistryCredentials {
  username: string
  password: string
  /** The registry that they are for, as the Engine API names it. */
  serveraddress: string
}

/** Credentials by the registry in an image's name, `host[:port]`. */
export type RegistryAuths = ReadonlyMap<string, RegistryCredentials>

const HUB = 'docker.io'
/** The name of Docker Hub in a config.json. */
const HUB_ADDRESS = 'https://index.docker.io/v1/'
const HUB_HOSTS = [HUB, 'index.docker.io', 'registry-1.docker.io']

const FORM = 'must be JSON like {"auths":{"host[:port]":{"auth":"base64(user:password)"}}}'

/** The setting's schema. Error messages repeat nothing of its value. */
export const registryAuths = z.string().transform((text, context): RegistryAuths => {
  const read = readAuths(text)
  if (typeof read !== 'string') return read
  context.addIssue({ code: 'custom', message: read })
  return z.NEVER
})

/** Returns the credentials for the registry that an image's name means; undefined when there are none. */
export function credentialsFor(name: string, auths: RegistryAuths | undefined): RegistryCredentials | undefined {
  const registry = parseImageName(name)?.registry
  return registry === undefined ? undefined : auths?.get(registry.toLowerCase())
}

/** Returns the credentials, or what is wrong with the text. */
function readAuths(text: string): RegistryAuths | string {
  const auths = field(parsed(text), 'auths')
  if (typeof auths !== 'object' || auths === null || Array.isArray(auths)) return FORM
  const known = new Map<string, RegistryCredentials>()
  for (const [index, [key, entry]] of Object.entries(auths).entries()) {
    const nth = `entry ${index + 1} of auths`
    const host = hostOf(key)
    if (host === undefined) return `${nth} is not for a registry, host[:port]`
    const login = loginOf(entry)
    if (login === undefined) return `${nth} has no "auth" that is base64 of user:password`
    const registry = HUB_HOSTS.includes(host) ? HUB : host
    known.set(registry, { ...login, serveraddress: registry === HUB ? HUB_ADDRESS : host })
  }
  return known
}

/** Returns the host in a key, which may have a scheme and a path, as Docker reads it. */
function hostOf(key: string): string | undefined {
  const host = key
    .replace(/^https?:\/\//i, '')
    .replace(/\/.*$/, '')
    .toLowerCase()
  return /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[a-f0-9:]+\])(?::\d{1,5})?$/.test(host) ? host : undefined
}

function loginOf(entry: unknown): { username: string; password: string } | undefined {
  const auth = field(entry, 'auth')
  if (typeof auth !== 'string' || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(auth)) return undefined
  // Bytes that are not UTF-8 were not base64 of a name and a password.
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = text.indexOf(':')
  if (colon < 1 || text.includes('\uFFFD')) return undefined
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message repeats a part of the text.
    return undefined
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
