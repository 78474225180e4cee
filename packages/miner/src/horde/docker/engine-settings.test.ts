import { type EngineAddress, engineUrl } from '@horde/engine/engine-address'
import { describe, expect, it } from 'vitest'
import { engineSettings } from './engine-settings.ts'

const tls = { ca: '/k/ca.pem', cert: '/k/cert.pem', key: '/k/key.pem' }
const ssh = { identity: '/k/id', known_hosts: '/k/known_hosts' }
const sshParsed = { identity: '/k/id', knownHosts: '/k/known_hosts' }
const remoteSocket = '/var/run/docker.sock'

describe('the engine of a pool', () => {
  it.each<[string, unknown, EngineAddress, string]>([
    ['nothing', undefined, { socket: '/var/run/docker.sock' }, 'unix:///var/run/docker.sock'],
    ['an empty part', {}, { socket: '/var/run/docker.sock' }, 'unix:///var/run/docker.sock'],
    ['a socket', { socket: '/run/d.sock' }, { socket: '/run/d.sock' }, 'unix:///run/d.sock'],
    [
      'TLS',
      { host: 'tcp://10.0.0.5', tls },
      { tls: { host: '10.0.0.5', port: 2376, ...tls }, remoteSocket },
      'tcp://10.0.0.5:2376',
    ],
    [
      'TLS by IPv6',
      { host: 'tcp://[::1]:1234/', tls, remote_socket: '/d.sock' },
      { tls: { host: '::1', port: 1234, ...tls }, remoteSocket: '/d.sock' },
      'tcp://[::1]:1234',
    ],
    [
      'SSH',
      { host: 'ssh://horde@gpu1.example:2222', ssh },
      { ssh: { host: 'gpu1.example', port: 2222, user: 'horde', ...sshParsed }, remoteSocket },
      'ssh://horde@gpu1.example:2222',
    ],
  ])('is read from %s', (_name, given, address, url) => {
    expect(engineSettings.parse(given)).toEqual(address)
    expect(engineUrl(engineSettings.parse(given))).toBe(url)
  })

  it.each<[string, unknown, string, string]>([
    ['text', '/var/run/docker.sock', '', 'must be an object: socket, host, tls, ssh, remote_socket'],
    ['a key that there is not', { sockets: '/x' }, '', 'sockets is unknown here; there are socket, host,'],
    ['a relative socket', { socket: 'docker.sock' }, 'socket', 'must be an absolute path'],
    ['a number for a path', { socket: 7 }, 'socket', 'must be the path of a file'],
    ['a socket and a host', { socket: '/x', host: 'tcp://h', tls }, '', 'has a socket and a host'],
    ['TLS without a host', { tls }, '', 'belong to a host, and no host'],
    ['tcp:// without TLS', { host: 'tcp://10.0.0.5:2375' }, '', 'host tcp:// needs tls, and no ssh'],
    ['tcp:// with SSH as well', { host: 'tcp://10.0.0.5', tls, ssh }, '', 'host tcp:// needs tls, and no ssh'],
    ['tcp:// with a user', { host: 'tcp://me@10.0.0.5', tls }, '', 'must have no user'],
    ['a file missing', { host: 'tcp://h', tls: { ca: '/a', cert: '/b' } }, 'tls.key', 'must be the path of a file'],
    ['a file too many', { host: 'tcp://h', tls: { ...tls, verify: false } }, 'tls', 'verify is unknown here'],
    ['ssh:// without keys', { host: 'ssh://me@h' }, '', 'host ssh:// needs ssh'],
    ['ssh:// without the host’s keys', { host: 'ssh://me@h', ssh: { identity: '/k' } }, 'ssh.known_hosts', 'must be'],
    ['ssh:// without a user', { host: 'ssh://h', ssh }, '', 'must name the user'],
    ['ssh:// with a password', { host: 'ssh://me:secret@h', ssh }, '', 'must hold no password'],
    ['ssh:// with a path', { host: 'ssh://me@h/run/docker.sock', ssh }, '', 'with nothing behind it'],
    ['a host that is an option', { host: 'ssh://me@-oProxyCommand=x', ssh }, '', 'host must be tcp://host:port or'],
    ['a user that is an option', { host: 'ssh://-oProxyCommand=x@h', ssh }, '', 'must name the user'],
    ['a path with a meaning', { host: 'ssh://me@h', ssh: { ...ssh, identity: '/k/%h' } }, 'ssh.identity', 'without :'],
    ['another scheme', { host: 'http://10.0.0.5', tls }, '', 'host must be tcp://host:port or ssh://user@host:port'],
    ['no URL', { host: '10.0.0.5:2376', tls }, '', 'host must be tcp://host:port or ssh://user@host:port'],
  ])('is refused with %s', (_name, given, where, words) => {
    const [issue] = engineSettings.safeParse(given).error?.issues ?? []
    expect(issue?.path.join('.')).toBe(where)
    expect(issue?.message).toContain(words)
    expect(issue?.message).not.toContain('secret')
  })
})
