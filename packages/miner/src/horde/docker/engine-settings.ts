/** The part `engine` of a pool's settings: where the pool's container engine is. */
import type { EngineAddress, LocalEngine, SshEngine, TlsEngine } from '@horde/engine/engine-address'
import { z } from 'zod'

const DEFAULT_SOCKET = '/var/run/docker.sock'
const TLS_PORT = 2376
const SSH_PORT = 22
/** A host name that no program takes for an option. */
const HOST_NAME = /^[a-z0-9][a-z0-9.-]*$/i
const IPV6 = /^\[([0-9a-f:]+)\]$/i
const USER = /^[a-z_][\w.-]*$/i

const path = z.string('must be the path of a file').regex(/^\//, 'must be an absolute path')

/** A path that ssh takes as it is: some characters have a meaning for it. */
const plainPath = path.regex(/^[^:%$"\\]+$/, 'must be a path without : % $ " and \\')

/** Returns the schema of an object without other keys, whose errors are sentences for operators. */
function part<T extends z.ZodRawShape>(what: string, shape: T) {
  const names = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: issue => {
      if (issue.code !== 'unrecognized_keys') return `must be ${what}: ${names}`
      return `${issue.keys.join(', ')} is unknown here; there are ${names}`
    },
  })
}

const given = part('an object', {
  socket: path.optional(),
  host: z.string('must be a URL').optional(),
  tls: part('the paths of three files', { ca: path, cert: path, key: path }).optional(),
  ssh: part('the paths of two files', { identity: plainPath, known_hosts: plainPath }).optional(),
  remote_socket: plainPath.optional(),
})

type Given = z.output<typeof given>

/** Parses `{ socket }` of this machine (the default), or a `host`: tcp:// with `tls`, or ssh:// with `ssh`. */
export const engineSettings = given
  .transform((engine, context): EngineAddress => {
    const address = engine.host === undefined ? localEngine(engine) : remoteEngine(engine, engine.host)
    if (typeof address !== 'string') return address
    context.addIssue({ code: 'custom', message: address })
    return z.NEVER
  })
  .default({ socket: DEFAULT_SOCKET })

/** Returns the address, or what is wrong with it. */
function localEngine({ socket = DEFAULT_SOCKET, tls, ssh, remote_socket }: Given): LocalEngine | string {
  if (tls || ssh || remote_socket) return 'has tls, ssh or remote_socket, which belong to a host, and no host'
  return { socket }
}

function remoteEngine({ socket, tls, ssh, remote_socket }: Given, text: string): TlsEngine | SshEngine | string {
  if (socket !== undefined) return 'has a socket and a host; it must be one of them'
  const url = hostOf(text)
  if (typeof url === 'string') return url
  const { scheme, host, port, user } = url
  const remoteSocket = remote_socket ?? DEFAULT_SOCKET
  if (scheme === 'tcp') {
    if (user !== '') return 'host must have no user: certificates say who this miner is'
    if (ssh || !tls)
      return 'host tcp:// needs tls, and no ssh: anyone who reaches an engine without TLS owns that machine'
    return { tls: { host, port: port ?? TLS_PORT, ...tls }, remoteSocket }
  }
  if (tls || !ssh) return 'host ssh:// needs ssh, with a key for this miner and the keys of the host, and no tls'
  if (!USER.test(user)) return 'host must name the user there, as in ssh://horde@gpu1.example'
  const { identity, known_hosts: knownHosts } = ssh
  return { ssh: { host, port: port ?? SSH_PORT, user, identity, knownHosts }, remoteSocket }
}

type Host = { scheme: 'tcp' | 'ssh'; host: string; port: number | undefined; user: string }

function hostOf(text: string): Host | string {
  const form = 'host must be tcp://host:port or ssh://user@host:port, with nothing behind it'
  if (!URL.canParse(text)) return form
  const { protocol, username, password, hostname, port, pathname, search, hash } = new URL(text)
  const scheme = protocol === 'tcp:' ? 'tcp' : protocol === 'ssh:' ? 'ssh' : undefined
  const host = IPV6.exec(hostname)?.[1] ?? hostname
  if (scheme === undefined || (host === hostname && !HOST_NAME.test(host))) return form
  if (password !== '') return 'host must hold no password'
  if (pathname.replace('/', '') !== '' || search !== '' || hash !== '') return form
  return { scheme, host, port: port === '' ? undefined : Number(port), user: username }
}
