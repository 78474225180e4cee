/** Checks whether this host can run jobs, and remembers a good result for a while, with the facts that jobs need. */
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Engine } from '@horde/engine/engine'
import type { Finding } from '@horde/kit/check/finding'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { version } from '@horde/kit/version'
import type { ExecutorSettings } from '../config.ts'
import { type Identity, identityText } from '../workspace/identity.ts'
import { CheckError } from './check-error.ts'
import { type Gpus, givenGpus, gpusOf, probeGpus } from './gpus.ts'
import type { HostFacts } from './host-facts.ts'
import type { StateFolder } from './state-folder.ts'

/** The file that holds the results, and a number to raise when its form or the checks change. */
const MEMORY_NAME = 'host.json'
const MEMORY_FORM = 3

/** What the URL of an engine on this machine begins with; the path of its socket follows. */
const SOCKET = 'unix://'

type CheckSettings = Pick<
  ExecutorSettings,
  'EXECUTOR_GPU_DEVICE_IDS' | 'KNOWN_ESCAPES' | 'RUNTIME' | 'HOST_CHECK_MAX_AGE_SECONDS'
>

export interface CheckDeps {
  engine: Engine
  settings: CheckSettings
  self: Identity
  state: StateFolder
  clock: Clock
  log: Log
}

/** The result of a check that found the host good. */
interface Remembered {
  /** When it was checked, in ms since the epoch. */
  at: number
  facts: HostFacts
  /** Whether the engine was found to offer the GPUs. */
  offersGpus: boolean
}

export interface CheckedHost {
  facts: HostFacts
  gpus: Gpus
  /**
   * Checks that the engine offers the GPUs of this executor's setting, by requesting them, and remembers a good result.
   * Rejects with CheckError when it does not.
   *
   * @param image any image that the engine has
   */
  checkGpus(image: string): Promise<void>
  /** Returns whether the result is less than `ms` old and holds for the current engine and boot. */
  isYoungerThan(ms: number): Promise<boolean>
}

/** How long a good result is remembered, in ms. */
export function hostMemoryMs({ HOST_CHECK_MAX_AGE_SECONDS }: CheckSettings): number {
  return HOST_CHECK_MAX_AGE_SECONDS * 1_000
}

/**
 * Rejects with CheckError where a stranger's job must not run. Only a good result is remembered, so a host that was
 * repaired works at once.
 *
 * @param maxAgeMs how old a remembered result may be. Default: as the settings say.
 */
export async function checkHost(deps: CheckDeps, maxAgeMs = hostMemoryMs(deps.settings)): Promise<CheckedHost> {
  const { state, clock, log } = deps
  const key = memoryKey(deps)
  const known = freshEntries(await state.read(MEMORY_NAME), clock.now(), maxAgeMs)[key]
  if (known) return checked(known, key, deps)
  // Loaded here: an executor with a remembered result does not need it.
  const { inspectHost } = await import('./inspect-host.ts')
  const { facts, findings } = await inspectHost(deps)
  for (const { subject, found, advice } of findings.filter(({ verdict }) => verdict === 'warn')) {
    log.warn({ subject, found, advice }, 'the host could be safer')
  }
  const reasons = findings.filter(({ verdict }) => verdict === 'bad')
  if (reasons.length > 0) throw new CheckError(reasons.map(reasonText).join('; '))
  const entry = { at: clock.now(), facts, offersGpus: false }
  await remember(entry, key, deps)
  return checked(entry, key, deps)
}

function reasonText({ subject, found, advice }: Finding): string {
  return `${subject}: ${found} (${advice})`
}

function checked(entry: Remembered, key: string, deps: CheckDeps): CheckedHost {
  const { engine, settings, self, clock, log } = deps
  const { facts, at } = entry
  let { offersGpus } = entry
  const gpus = gpusOf(settings.EXECUTOR_GPU_DEVICE_IDS, facts)
  const checkGpus = async (image: string) => {
    const given = givenGpus(settings.EXECUTOR_GPU_DEVICE_IDS)
    if (given === undefined || offersGpus) return
    await probeGpus(engine, { gpus: given, image, runtime: settings.RUNTIME, owner: identityText(self), log })
    offersGpus = true
    await remember({ ...entry, offersGpus }, key, deps)
  }
  const isYoungerThan = async (ms: number) => isFresh(at, clock.now(), ms) && memoryKey(deps) === key
  return { facts, gpus, checkGpus, isYoungerThan }
}

async function remember(entry: Remembered, key: string, { state, settings, clock }: CheckDeps): Promise<void> {
  const maxAgeMs = hostMemoryMs(settings)
  if (maxAgeMs === 0) return
  // When two executors write at once, one entry is lost; that executor then checks again the next time.
  const entries = freshEntries(await state.read(MEMORY_NAME), clock.now(), maxAgeMs)
  await state.write(MEMORY_NAME, { form: MEMORY_FORM, entries: { ...entries, [key]: entry } })
}

function freshEntries(memory: unknown, now: number, maxAgeMs: number): Record<string, Remembered> {
  const { form, entries } = (memory ?? {}) as { form?: unknown; entries?: Record<string, Remembered> }
  if (form !== MEMORY_FORM || entries === undefined) return {}
  return Object.fromEntries(Object.entries(entries).filter(([, { at }]) => isFresh(at, now, maxAgeMs)))
}

/** An entry from the future was written by a wrong clock, and may be of any age. */
function isFresh(at: number, now: number, maxAgeMs: number): boolean {
  return at <= now && now - at < maxAgeMs
}

/**
 * What a remembered result depends on: the engine, as far as it shows from outside, the boot, our version and settings.
 */
function memoryKey({ engine, settings }: CheckDeps): string {
  const { url } = engine
  const { KNOWN_ESCAPES, RUNTIME, EXECUTOR_GPU_DEVICE_IDS } = settings
  const own = [version, KNOWN_ESCAPES, RUNTIME, EXECUTOR_GPU_DEVICE_IDS]
  return JSON.stringify([url, engineStart(url), bootId(), ...own])
}

/**
 * Changes when the engine restarts, as for new settings or another version: it creates its socket and pid file again.
 */
function engineStart(url: string): string {
  if (!url.startsWith(SOCKET)) return ''
  const socket = url.slice(SOCKET.length)
  const files = [socket, join(dirname(socket), 'docker.pid')]
  return files.map(file => statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? '').join('/')
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}
