/** Checks a host once, and remembers for a while that it was good: the facts that a job's preparation needs come along. */
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Finding } from '@horde/kit/check/finding'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { version } from '@horde/kit/version'
import type { ExecutorSettings } from '../config.ts'
import type { Engine } from '../engine/container.ts'
import { type Identity, identityText } from '../engine/identity.ts'
import { CheckError } from './check-error.ts'
import { type Gpus, givenGpus, gpusOf, probeGpus } from './gpus.ts'
import type { HostFacts } from './host-facts.ts'
import type { StateFolder } from './state-folder.ts'

/** The file of what is remembered, and a number that is raised when its form or the checks change. */
const MEMORY_NAME = 'host.json'
const MEMORY_FORM = 2

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

/** What is remembered of a host that was found to be good. */
interface Remembered {
  /** When it was looked at, in ms since the epoch. */
  at: number
  facts: HostFacts
  /** Whether the engine was asked for the GPUs, and offered them. */
  offersGpus: boolean
}

export interface CheckedHost {
  facts: HostFacts
  gpus: Gpus
  /**
   * Asks the engine for the GPUs that this executor was given, as only that tells whether it offers them, and remembers that
   * it does. Rejects with CheckError when it does not.
   *
   * @param image any that the engine has
   */
  checkGpus(image: string): Promise<void>
  /** Whether this was found less than so many ms ago, on the engine and the boot that are there now. */
  isYoungerThan(ms: number): Promise<boolean>
}

/** How long a host that was found to be good is remembered, in ms. */
export function hostMemoryMs({ HOST_CHECK_MAX_AGE_SECONDS }: CheckSettings): number {
  return HOST_CHECK_MAX_AGE_SECONDS * 1_000
}

/**
 * Rejects with CheckError where a stranger's job must not run. Only what was good is remembered, so that a host that is
 * mended works at once.
 *
 * @param maxAgeMs how old a memory may be to be trusted. Default: as the settings say.
 */
export async function checkHost(deps: CheckDeps, maxAgeMs = hostMemoryMs(deps.settings)): Promise<CheckedHost> {
  const { state, clock, log } = deps
  const key = await memoryKey(deps)
  const known = freshEntries(await state.read(MEMORY_NAME), clock.now(), maxAgeMs)[key]
  if (known) return checked(known, key, deps)
  // An executor that remembers does without all that looking takes.
  const { lookAtHost } = await import('./look-at-host.ts')
  const { facts, findings } = await lookAtHost(deps)
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
  const isYoungerThan = async (ms: number) => isFresh(at, clock.now(), ms) && (await memoryKey(deps)) === key
  return { facts, gpus, checkGpus, isYoungerThan }
}

async function remember(entry: Remembered, key: string, { state, settings, clock }: CheckDeps): Promise<void> {
  const maxAgeMs = hostMemoryMs(settings)
  if (maxAgeMs === 0) return
  // Of two executors that write at once one loses its entry, and looks again the next time.
  const entries = freshEntries(await state.read(MEMORY_NAME), clock.now(), maxAgeMs)
  await state.write(MEMORY_NAME, { form: MEMORY_FORM, entries: { ...entries, [key]: entry } })
}

function freshEntries(memory: unknown, now: number, maxAgeMs: number): Record<string, Remembered> {
  const { form, entries } = (memory ?? {}) as { form?: unknown; entries?: Record<string, Remembered> }
  if (form !== MEMORY_FORM || entries === undefined) return {}
  return Object.fromEntries(Object.entries(entries).filter(([, { at }]) => isFresh(at, now, maxAgeMs)))
}

/** What comes from the future was written under another time, and may be of any age. */
function isFresh(at: number, now: number, maxAgeMs: number): boolean {
  return at <= now && now - at < maxAgeMs
}

/** What must not have changed for the memory to hold: the engine, as far as it shows from outside, the boot, and us. */
async function memoryKey({ engine, settings }: CheckDeps): Promise<string> {
  const address = await engine.address()
  const { KNOWN_ESCAPES, RUNTIME, EXECUTOR_GPU_DEVICE_IDS } = settings
  const ours = [version, KNOWN_ESCAPES, RUNTIME, EXECUTOR_GPU_DEVICE_IDS]
  return JSON.stringify([address, engineStart(address), bootId(), ...ours])
}

/** Changes when the engine is restarted, as for new settings or another version: its socket or its pid file are made anew. */
function engineStart(address: string): string {
  if (!address.startsWith('/')) return ''
  const files = [address, join(dirname(address), 'docker.pid')]
  return files.map(file => statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? '').join('/')
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}
