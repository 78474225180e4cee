/**
 * Opens a connection to a container engine. The only importer of dockerode, which is heavy: where start-up time counts,
 * import this file with the first use of an engine.
 */
import { readFile } from 'node:fs/promises'
import type { Log } from '@horde/kit/log'
import { type Clock, systemClock } from '@horde/kit/time'
import Docker from 'dockerode'
import { Engine } from './engine.ts'
import { type EngineAddress, engineUrl, type SshEngine, type TlsEngine } from './engine-address.ts'
import { EngineCalls, type Route } from './engine-calls.ts'

/** How long the engine may take to answer a call that waits for nothing else, in ms. */
const CALL_MS = 60_000

export interface EngineOptions {
  /** How long the engine may take to answer a call that waits for nothing else, in ms. Default: 60 s. */
  callMs?: number
  /** Default: the machine's own. */
  clock?: Clock
  /** Logs when an SSH tunnel breaks. Default: silent. */
  log?: Log
}

/**
 * Opens the engine at an address. If the engine cannot be reached, the first call fails.
 *
 * @throws Error when a file is missing that TLS or SSH needs
 */
export async function connectEngine(address: EngineAddress, options: EngineOptions = {}): Promise<Engine> {
  const { route, dockerOptions } = await routeTo(address, options)
  // Sets every option that the client would otherwise read from DOCKER_HOST and similar variables.
  const unset = { host: undefined, port: undefined, ca: undefined, cert: undefined, key: undefined }
  const docker = new Docker({ ...unset, ...dockerOptions } as Docker.DockerOptions)
  return engineOf(docker, engineUrl(address), route, options)
}

/**
 * Opens the engine that DOCKER_HOST names, as every Docker client does, or the local one. Connects at the first call.
 */
export async function connectDefaultEngine(options: EngineOptions = {}): Promise<Engine> {
  const docker = new Docker()
  // When no option names a socket, the client looks for one.
  const modem = docker.modem as unknown as { getSocketPath(): Promise<string> | undefined } & Docker.DockerOptions
  const socket = await modem.getSocketPath()
  const url = socket === undefined ? `${modem.protocol}://${modem.host}:${modem.port}` : engineUrl({ socket })
  return engineOf(docker, url, DIRECT, options)
}

/** A route without a tunnel: each call connects to the socket or host by itself. */
const DIRECT: Route = { ready: async () => {}, close: async () => {} }

function engineOf(docker: Docker, url: string, route: Route, options: EngineOptions): Engine {
  const { callMs = CALL_MS, clock = systemClock } = options
  return new Engine(new EngineCalls({ docker, url, route, callMs, clock }))
}

async function routeTo(
  address: EngineAddress,
  options: EngineOptions,
): Promise<{ route: Route; dockerOptions: Docker.DockerOptions }> {
  if ('tls' in address) return { route: DIRECT, dockerOptions: await tlsOptions(address) }
  if ('ssh' in address) return sshRoute(address, options)
  return { route: DIRECT, dockerOptions: { socketPath: address.socket, protocol: 'http' } }
}

async function tlsOptions({ tls: { host, port, ca, cert, key } }: TlsEngine): Promise<Docker.DockerOptions> {
  const read = (path: string) =>
    readFile(path, 'utf8').catch(cause => {
      throw new Error(`${path}, for tls, cannot be read`, { cause })
    })
  return { protocol: 'https', host, port, ca: await read(ca), cert: await read(cert), key: await read(key) }
}

async function sshRoute(address: SshEngine, { clock = systemClock, log }: EngineOptions) {
  const { SshTunnel } = await import('./ssh/ssh-tunnel.ts')
  const tunnel = await SshTunnel.open(address, { clock, log })
  const route: Route = {
    ready: () => tunnel.ready(),
    failure: () => tunnel.failure(),
    close: () => tunnel[Symbol.asyncDispose](),
  }
  return { route, dockerOptions: { socketPath: tunnel.socket, protocol: 'http' as const } }
}
