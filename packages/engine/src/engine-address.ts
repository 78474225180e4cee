/** Where a container engine is. */

export type EngineAddress = LocalEngine | TlsEngine | SshEngine

/** A socket of this machine. */
export type LocalEngine = { socket: string }

/** An engine that is reached over TLS. `ca`, `cert` and `key` are the paths of PEM files. */
export type TlsEngine = {
  tls: { host: string; port: number; ca: string; cert: string; key: string }
  /** The engine's socket on its own host. */
  remoteSocket: string
}

/** An engine that is reached over SSH. `identity` and `knownHosts` are the paths of files. */
export type SshEngine = {
  ssh: { host: string; port: number; user: string; identity: string; knownHosts: string }
  /** The engine's socket on its own host, to which the tunnel leads. */
  remoteSocket: string
}

/** Returns the engine's address as a URL, for logs and error messages. */
export function engineUrl(address: EngineAddress): string {
  if ('socket' in address) return `unix://${address.socket}`
  const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host)
  if ('tls' in address) return `tcp://${bracketed(address.tls.host)}:${address.tls.port}`
  const { user, host, port } = address.ssh
  return `ssh://${user}@${bracketed(host)}:${port}`
}

/** Returns the path of the engine's socket on the engine's own host. */
export function socketOf(address: EngineAddress): string {
  return 'socket' in address ? address.socket : address.remoteSocket
}
