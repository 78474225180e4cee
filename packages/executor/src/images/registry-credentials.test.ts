import { ConfigError, defineSettings, readSettings, setting } from '@horde/kit/config'
import { expect, test } from 'vitest'
import { credentialsFor, registryAuths } from './registry-credentials.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const config = (auths: Record<string, unknown>) => JSON.stringify({ auths })

const auths = registryAuths.parse(
  config({
    'https://index.docker.io/v1/': { auth: base64('hub:h') },
    'registry.example.com:5000': { auth: base64('us:er:pass:word') },
    'https://Other.example.com/v2/': { auth: base64('o:') },
  }),
)

test.each([
  ['python', 'hub'],
  ['docker.io/a/b:1', 'hub'],
  ['index.docker.io/a', 'hub'],
  ['registry.example.com:5000/a', 'us'],
  ['other.example.com/a', 'o'],
  ['OTHER.example.com/a', 'o'],
])('%s is asked for as %s', (name, username) => {
  expect(credentialsFor(name, auths)?.username).toBe(username)
})

test.each([
  'registry.example.com/a',
  'registry.example.com:5001/a',
  'evil.example.com/registry.example.com/a',
  'sub.other.example.com/a',
  'localhost/a',
])('%s is asked for without credentials', name => {
  expect(credentialsFor(name, auths)).toBeUndefined()
})

test('splits user and password at the first colon, and knows the address of Docker Hub', () => {
  expect(credentialsFor('registry.example.com:5000/a', auths)).toEqual({
    username: 'us',
    password: 'er:pass:word',
    serveraddress: 'registry.example.com:5000',
  })
  expect(credentialsFor('a', auths)?.serveraddress).toBe('https://index.docker.io/v1/')
})

const SECRET = 's3cr3t'
test.each([
  ['no JSON', `{"auths": ${SECRET}`, 'must be JSON like'],
  ['something else', `"${SECRET}"`, 'must be JSON like'],
  ['a list', `{"auths":["${SECRET}"]}`, 'must be JSON like'],
  ['no base64', config({ 'a.example': { auth: `${SECRET}:*` } }), 'entry 1 of auths has no "auth"'],
  ['no user', config({ ok: { auth: base64('a:b') }, x: { auth: base64(SECRET) } }), 'entry 2 of auths has no "auth"'],
  ['no auth', config({ 'a.example': { password: SECRET } }), 'entry 1 of auths has no "auth"'],
  ['no host', config({ [`${SECRET} x`]: { auth: base64('a:b') } }), 'entry 1 of auths is not for a registry'],
])('reports %s without showing it', (_, text, problem) => {
  const settings = defineSettings({
    DOCKER_AUTH_CONFIG: setting(registryAuths.optional(), { about: 'a', example: 'b', secret: true }),
  })
  const read = () => readSettings(settings, { DOCKER_AUTH_CONFIG: text })
  expect(read).toThrow(ConfigError)
  expect(read).toThrow(problem)
  expect(read).not.toThrow(new RegExp(`${SECRET}|${base64(SECRET)}`))
})
