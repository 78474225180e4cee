/** The command `check`: reports whether this host can run jobs, one line for each thing that was checked. */
import { connectDefaultEngine } from '@horde/engine/connect'
import type { Engine } from '@horde/engine/engine'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { driverMismatch } from '@horde/kit/check/nvidia-driver'
import { mistakesOf, printFindings } from '@horde/kit/check/report'
import { readSettings } from '@horde/kit/config'
import { silentLog } from '@horde/kit/log'
import { type HostSettings, hostSettings } from './config.ts'
import { usedPercent } from './container/disk.ts'
import { gpusOf, probeGpus } from './host/gpus.ts'
import type { HostFacts } from './host/host-facts.ts'
import { inForce } from './host/in-force.ts'
import { inspectHost } from './host/inspect-host.ts'
import { defaultStateFolder, openStateFolder } from './host/state-folder.ts'
import { resolveAlias } from './images/aliases.ts'
import { jobLimits } from './job/job-limits.ts'
import { HOLDER_IMAGE, importHolderImage } from './workspace/holder.ts'
import { identityText, ownIdentity } from './workspace/identity.ts'

/** Matches the names of the settings that limit a job. */
const LIMIT = /_(LIMIT|SECONDS|BYTES|FILES|PERCENT)$/
/** Settings whose names match, but that limit no job. */
const NOT_LIMITS = [
  'RECONNECT_DELAY_SECONDS',
  'HOST_CHECK_MAX_AGE_SECONDS',
  'ENGINE_CALL_SECONDS',
  'INPUT_CACHE_MAX_BYTES',
  'INPUT_CACHE_MAX_AGE_SECONDS',
]

/** Prints one line for each finding. Returns the exit code: 0 when jobs can run here, else 1. */
export async function check(environment: Readonly<Record<string, string | undefined>>): Promise<number> {
  return printFindings(findings(environment), text => void process.stdout.write(text))
}

async function* findings(environment: Readonly<Record<string, string | undefined>>): AsyncGenerator<Finding> {
  const settings = settingsOr(environment)
  if (Array.isArray(settings)) return yield* settings
  yield ok('settings', 'all can be read')
  const engine = await connectDefaultEngine({ callMs: settings.ENGINE_CALL_SECONDS * 1_000 })
  yield await stateFinding(settings)
  if (settings.INPUT_CACHE_FOLDER !== undefined) yield await cacheFinding(settings.INPUT_CACHE_FOLDER)
  const look = await inspectHost({ engine, settings, self: ownIdentity() }).catch((error: Error) => error)
  if (look instanceof Error) {
    return yield bad('engine', look.message, 'start Docker here, or set DOCKER_HOST to where it is')
  }
  yield* look.findings
  yield await gpuFinding(engine, settings, look.facts)
  yield* await imageFindings(engine, settings, look.facts)
  yield await diskFinding(settings, look.facts)
  yield* limitFindings(settings, look.facts)
}

/** Returns the settings, or a finding for each mistake in them. */
function settingsOr(environment: Readonly<Record<string, string | undefined>>): HostSettings | Finding[] {
  try {
    return readSettings(hostSettings, environment)
  } catch (error) {
    const exampleOf = (name: string) => hostSettings[name as keyof typeof hostSettings]?.example
    return mistakesOf(error, ({ name }) => `set it to something like ${exampleOf(name)}`)
  }
}

async function stateFinding(settings: HostSettings): Promise<Finding> {
  const wanted = settings.STATE_FOLDER ?? defaultStateFolder()
  const { path } = await openStateFolder(wanted, silentLog)
  if (path !== undefined) return ok('memory', `what executors remember is in ${path}`)
  const advice = 'set STATE_FOLDER to a folder that only this user may write to'
  return warn('memory', `${wanted ?? 'no folder'} cannot be used: every executor looks at the host anew`, advice)
}

async function cacheFinding(wanted: string): Promise<Finding> {
  const { path } = await openStateFolder(wanted, silentLog)
  if (path !== undefined) return ok('inputs', `downloaded inputs are kept in ${path}`)
  const advice = 'set INPUT_CACHE_FOLDER to a folder of this user, to which nobody else may write'
  return warn('inputs', `${wanted} cannot be used: every job downloads its own inputs`, advice)
}

async function gpuFinding(engine: Engine, settings: HostSettings, facts: HostFacts): Promise<Finding> {
  const gpus = gpusOf(settings.EXECUTOR_GPU_DEVICE_IDS, facts)
  if (gpus === undefined) return ok('gpus', 'executors have none')
  try {
    if ((await engine.images.find(HOLDER_IMAGE)) === undefined) await importHolderImage(engine, facts.machine)
    const owner = identityText(ownIdentity())
    await probeGpus(engine, { gpus, image: HOLDER_IMAGE, runtime: settings.RUNTIME, owner, log: silentLog })
    return ok('gpus', `the engine offers ${gpus === 'all' ? 'all' : gpus.join(', ')}`)
  } catch (error) {
    const { message } = error as Error
    const advice =
      "install NVIDIA's driver and container toolkit, or set EXECUTOR_GPU_DEVICE_IDS to what there is, or none"
    return driverMismatch(message) ?? bad('gpus', message, advice)
  }
}

async function imageFindings(engine: Engine, settings: HostSettings, facts: HostFacts): Promise<Finding[]> {
  const { PYTHON_IMAGE, PYTHON_NVIDIA_IMAGE, PRELOAD_IMAGES, IMAGE_ALIASES, EXECUTOR_GPU_DEVICE_IDS } = settings
  const hasGpus = gpusOf(EXECUTOR_GPU_DEVICE_IDS, facts) !== undefined
  const wanted = [PYTHON_IMAGE, ...(hasGpus ? [PYTHON_NVIDIA_IMAGE] : []), ...PRELOAD_IMAGES]
  const names = new Set(wanted.map(name => resolveAlias(name, IMAGE_ALIASES)))
  return Promise.all(
    [...names].map(async name => {
      if ((await engine.images.find(name)) !== undefined) return ok('image', `${name} is here`)
      const policy = settings.IMAGE_PULL_POLICY
      if (policy === 'never') return bad('image', `${name} is not here, and IMAGE_PULL_POLICY=never`, `get ${name}`)
      return warn('image', `${name} is not here: the first job waits for it`, `docker pull ${name}, or PRELOAD_IMAGES`)
    }),
  )
}

async function diskFinding(settings: HostSettings, facts: HostFacts): Promise<Finding> {
  const percent = Math.round(await usedPercent(facts.dataFolder))
  const found = `the engine's, behind ${facts.dataFolder}, is ${percent} % full`
  if (percent <= settings.IMAGE_DISK_THRESHOLD_PERCENT) return ok('disk', found)
  return warn('disk', found, 'make room: executors remove images that they pulled until there is')
}

/** Yields every limit with its value, including the limits that come from the host. */
function* limitFindings(settings: HostSettings, facts: HostFacts): Generator<Finding> {
  const limits = jobLimits(settings, facts)
  const { root, volume, output, runtime } = inForce(facts, limits)
  yield ok('job', `root ${root}, /volume ${volume}, /output ${output}, runtime ${runtime}`)
  const ofHost = { MEMORY_LIMIT_BYTES: limits.memoryBytes, CPU_LIMIT: limits.cpus }
  for (const [name, value] of Object.entries({ ...settings, ...ofHost })) {
    if (LIMIT.test(name) && !NOT_LIMITS.includes(name)) yield ok('limit', `${name}=${value}`)
  }
}
