/**
 * Two questions to this machine's container engine, in plain HTTP on its socket: who only looks does not load dockerode,
 * and a miner whose executors come another way never does.
 */
import { request } from 'node:http'
import { json } from 'node:stream/consumers'
import type { Engine } from './engine.ts'

/** How long an answer may take, in milliseconds. */
const ANSWER_MS = 10_000
const OK = 200
const NOT_FOUND = 404

type Info = { ServerVersion?: string; DockerRootDir?: string; Runtimes?: Record<string, unknown> }

export function localEngine(socketPath: string): Engine {
  return {
    name: socketPath,
    isHere: true,
    async facts(signal) {
      const { status, body } = await ask(socketPath, '/info', signal)
      if (status !== OK) throw new Error(`it answered with status ${status}`)
      const { ServerVersion = 'of an unknown version', DockerRootDir = '', Runtimes = {} } = body as Info
      return { version: ServerVersion, dataFolder: DockerRootDir, runtimes: Object.keys(Runtimes) }
    },
    async hasImage(image, signal) {
      const { status } = await ask(socketPath, `/images/${encodeURIComponent(image)}/json`, signal)
      if (status !== OK && status !== NOT_FOUND) throw new Error(`it answered with status ${status}`)
      return status === OK
    },
  }
}

async function ask(socketPath: string, path: string, stop: AbortSignal): Promise<{ status: number; body: unknown }> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(ANSWER_MS)])
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, signal, headers: { host: 'docker' } }, answer => {
      json(answer).then(body => resolve({ status: answer.statusCode ?? 0, body }), reject)
    })
    asked.once('error', reject).end()
  })
}
