/**
 * Watches each pool's GPUs by running nvidia-smi where its executors run. Finds GPUs that disappeared, memory errors,
 * and GPUs that do not match the pool's class.
 */
import { bad, type Finding, ok, unknown, warn } from '@horde/kit/check/finding'
import { driverMismatch } from '@horde/kit/check/nvidia-driver'
import type { Watch } from '@horde/operator/watch/watches'
import { CLASSES, type ExecutorClass } from '@horde/protocol/classes'
import type { ExecutorManager } from '../../horde/manager.ts'
import { type ProbeResult, ProbeTimeoutError } from '../../horde/manager.ts'
import { AGAIN_MS, aboutPools, mergeFindings } from './pools.ts'

const EVERY_MS = 60_000
const COMMAND = [
  'nvidia-smi',
  '--query-gpu=index,uuid,name,ecc.errors.uncorrected.volatile.total,memory.total',
  '--format=csv,noheader,nounits',
]
/** The exit code of nvidia-smi when it lacks the driver's libraries, which says nothing about GPUs. */
const NO_LIBRARIES = 12
/** The output of nvidia-smi when there are no GPUs. */
const NO_DEVICES = /^No devices were found/i
/** The errors of engines that cannot offer GPUs: there is no toolkit, or no driver. */
const NONE_OFFERED = /could not select device driver|unresolvable CDI devices|driver not loaded|no NVIDIA GPU/i
/** The contents of a column of a GPU that no longer works. */
const LOST = /requires reset|unknown error|is lost|\bERR!/i
/** The longest part of nvidia-smi's output that a finding repeats, in characters. */
const LONGEST_LINE = 160

/** `all`, or indices and UUIDs in the form that nvidia-smi prints. */
export type UsedGpus = 'all' | readonly string[]

export type GpuPool = {
  name: string
  manager: Pick<ExecutorManager, 'probe'>
  /** The GPUs that its executors use. An empty list is not checked. */
  used: UsedGpus
  /** Whether a probe sees only these GPUs, renumbered, as a container does. Otherwise it sees all of the machine. */
  isGivenItsOwn: boolean
  claim: ClassClaim
  /** Returns whether the executors' machine has NVIDIA's driver; undefined when only nvidia-smi could tell. */
  hasDriver?(): boolean | undefined
}

/** What a pool claims about itself. */
export type ClassClaim = {
  executorClass: ExecutorClass
  /** The number of executors that run at the same time. */
  executors: number
  /** Whether all executors use the same GPUs. Otherwise each has its own. */
  isShared: boolean
  /** Whether the pool is used although it does not match its class. */
  isInsisted: boolean
}

/** `memoryMib` is NaN when nvidia-smi does not report it. */
type Gpu = { index: string; uuid: string; line: string; eccErrors: number; memoryMib: number }

/** What is kept of a pool between looks. */
type Memory = { most: number; badInARow: number; mismatch?: KnownMismatch | undefined }

/** A certain mismatch between a pool's claim and its GPUs. */
type KnownMismatch = { claim: ClassClaim; finding: Finding }

/** A bad finding counts only when a second look confirms it: a driver reset or an engine restart is not a lost GPU. */
export function gpuWatch(pools: () => readonly GpuPool[]): Watch {
  const memories = new Map<string, Memory>()
  const look = async (): Promise<Finding[]> => {
    const looks = pools().map(async pool => {
      const memory = memories.get(pool.name) ?? { most: 0, badInARow: 0 }
      memories.set(pool.name, memory)
      const findings = confirmBad(await lookAtGpus(pool, memory), memory)
      return aboutPools([pool.name], withKnownMismatch(findings, pool, memory))
    })
    return mergeFindings((await Promise.all(looks)).flat())
  }
  return { name: 'gpus', everyMs: EVERY_MS, againMs: AGAIN_MS, look }
}

function confirmBad(findings: readonly Finding[], memory: Memory): Finding[] {
  if (findings.some(({ isUnknown }) => isUnknown)) return [...findings]
  memory.badInARow = findings.some(({ verdict }) => verdict === 'bad') ? memory.badInARow + 1 : 0
  if (memory.badInARow !== 1) return [...findings]
  return findings.map(finding => (finding.verdict === 'bad' ? { ...finding, verdict: 'warn' } : finding))
}

/**
 * Keeps an earlier certain mismatch while the GPUs cannot disprove it: GPUs with problems do not show whether they
 * match the class. When the state is unknown, the watch itself keeps earlier bad findings.
 */
function withKnownMismatch(findings: readonly Finding[], { claim }: GpuPool, memory: Memory): Finding[] {
  const finding = findings.find(({ subject, verdict }) => subject === 'class' && verdict === 'bad')
  if (finding) memory.mismatch = { claim, finding }
  if (finding || findings.some(({ isUnknown }) => isUnknown)) return [...findings]
  const areWell = findings.every(({ subject, verdict, measured }) => {
    return subject === 'class' || (verdict !== 'bad' && measured !== undefined)
  })
  if (areWell || !isSameClaim(memory.mismatch?.claim, claim)) memory.mismatch = undefined
  return memory.mismatch ? [...findings, memory.mismatch.finding] : [...findings]
}

function isSameClaim(one: ClassClaim | undefined, other: ClassClaim): boolean {
  return one?.executorClass === other.executorClass && one.executors === other.executors
}

/** Checks a pool's GPUs once. The command `check` does only this. */
export async function lookAtGpus(pool: GpuPool, memory: { most: number } = { most: 0 }): Promise<Finding[]> {
  const { manager, used, isGivenItsOwn, name } = pool
  if (used.length === 0) return []
  if (manager.probe === undefined) return [cannotTell(`the manager of pool ${name} cannot look at them`)]
  try {
    const result = await manager.probe({ command: COMMAND, gpus: used })
    const none = memory.most === 0 ? withoutGpus(result, pool) : undefined
    if (none) return [none]
    const answer = answerOf(result)
    if ('verdict' in answer) return [answer]
    memory.most = Math.max(memory.most, answer.length)
    const findings = gpuFindings(answer, { used, isGivenItsOwn, most: memory.most })
    if (findings.some(({ verdict }) => verdict === 'bad')) return findings
    const mismatch = classFinding(usedOf(answer, pool), pool)
    return mismatch ? [...findings, mismatch] : findings
  } catch (error) {
    if (error instanceof ProbeTimeoutError) return [notWell(`nvidia-smi gave no answer: ${error.message}`)]
    return [cannotTell(`they could not be looked at: ${(error as Error).message}`)]
  }
}

function answerOf(result: ProbeResult): Gpu[] | Finding {
  if ('missing' in result) return cannotTell('nvidia-smi is not where executors run')
  if ('refused' in result) return notWell(`the engine does not offer them: ${result.refused.slice(0, LONGEST_LINE)}`)
  const lines = result.output.split('\n').filter(isFilled)
  const line = (lines[0] ?? '').trim().slice(0, LONGEST_LINE)
  if (NO_DEVICES.test(line)) return []
  if (result.exitCode === NO_LIBRARIES) return cannotTell(`nvidia-smi lacks the libraries of the driver: ${line}`)
  if (result.exitCode !== 0)
    return (
      driverMismatch(result.output) ??
      notWell(`nvidia-smi exited with ${result.exitCode}${line === '' ? '' : `: ${line}`}`)
    )
  return lines.map(gpuOf)
}

/** Finds a host without GPUs in a pool whose class has GPUs. */
function withoutGpus(result: ProbeResult, pool: GpuPool): Finding | undefined {
  if (CLASSES[pool.claim.executorClass].gpuMemoryMib === undefined) return undefined
  const { name, claim } = pool
  const which = `pool ${name} is of the class ${claim.executorClass}`
  if ('refused' in result && NONE_OFFERED.test(result.refused)) {
    const advice = "install NVIDIA's driver and container toolkit there, or choose another class"
    return notAsClaimed(`${which}, and the engine offers no GPUs`, advice, claim)
  }
  if ('missing' in result && pool.hasDriver?.() === false) {
    const advice = "install NVIDIA's driver on this machine, or choose another class"
    return notAsClaimed(`${which}, and this machine has no driver for GPUs`, advice, claim)
  }
  if (!('output' in result) || (result.exitCode !== 0 && !NO_DEVICES.test(result.output.trim()))) return undefined
  if (result.output.split('\n').some(line => isFilled(line) && !NO_DEVICES.test(line))) return undefined
  return notAsClaimed(`${which}, and there are no GPUs where its executors run`, 'choose another class', claim)
}

/** Compares the GPUs that a pool uses with its class. Returns undefined when they may match. */
function classFinding(gpus: readonly Gpu[], { name, claim, used }: GpuPool): Finding | undefined {
  const { executorClass, executors, isShared } = claim
  const { gpuMemoryMib } = CLASSES[executorClass]
  // For parts of GPUs neither their number nor their memory is known.
  const arePart = used !== 'all' && used.some(id => id.startsWith('MIG-') || id.includes(':'))
  if (gpuMemoryMib === undefined || arePart) return undefined
  const small = gpus.find(({ memoryMib }) => memoryMib < gpuMemoryMib)
  if (small) {
    const has = `whose GPUs have ${gpuMemoryMib} MiB, and GPU ${small.index} has ${small.memoryMib}`
    const advice = 'choose another class, or name only GPUs that are of this one'
    return notAsClaimed(`pool ${name} is of the class ${executorClass}, ${has}`, advice, claim)
  }
  if (!isShared || executors <= gpus.length) return undefined
  const few = `${executors} executors of the class ${executorClass}, and there are ${gpus.length} GPUs for them`
  const advice = 'have as many executors as GPUs, each with its own (POOLS_FILE)'
  return notAsClaimed(`pool ${name} has ${few}`, advice, claim)
}

function notAsClaimed(found: string, advice: string, { isInsisted }: ClassClaim): Finding {
  if (isInsisted) return warn('class', found, advice)
  return bad('class', found, `${advice}; or insist by CLASS_MISMATCH=warn`)
}

function usedOf(gpus: readonly Gpu[], { used, isGivenItsOwn }: GpuPool): readonly Gpu[] {
  return used === 'all' || isGivenItsOwn ? gpus : gpus.filter(gpu => used.some(id => isGpu(gpu, id)))
}

function notWell(found: string): Finding {
  return bad('gpus', found, 'see dmesg; a GPU that is lost needs a reset')
}

function cannotTell(found: string): Finding {
  return unknown('gpus', found, 'nothing, where you look at the GPUs by other means')
}

/** @param most the largest number of GPUs seen since the start */
function gpuFindings(
  gpus: readonly Gpu[],
  { used, isGivenItsOwn, most }: { used: UsedGpus; isGivenItsOwn: boolean; most: number },
): Finding[] {
  const lost = gpus.filter(({ line }) => LOST.test(line))
  if (lost.length > 0) {
    const found = `GPU ${lost.map(({ index }) => index).join(', ')} does not work any more`
    return [bad('gpus', found, 'reset it (nvidia-smi --gpu-reset), or restart the machine')]
  }
  const missing = used === 'all' || isGivenItsOwn ? [] : used.filter(id => !gpus.some(gpu => isGpu(gpu, id)))
  const advice = 'see dmesg: a GPU that fell off the bus comes back with a restart; or take it out of the settings'
  if (missing.length > 0) return [bad('gpus', `${gpus.length} are here, but not ${missing.join(', ')}`, advice)]
  if (isGivenItsOwn && used !== 'all' && gpus.length < used.length) {
    return [bad('gpus', `${gpus.length} are here of the ${used.length} that the pool has`, advice)]
  }
  if (gpus.length < most) return [bad('gpus', `${gpus.length} are here, and there were ${most}`, advice)]
  if (gpus.length === 0) return [bad('gpus', 'there are none', advice)]
  const wrong = gpus.filter(({ eccErrors }) => eccErrors > 0)
  if (wrong.length === 0) return [{ ...ok('gpus', `${gpus.length} are here and well`), measured: gpus.length }]
  return wrong.map(({ index, eccErrors }) => {
    const found = `GPU ${index} had ${eccErrors} memory errors that ECC could not correct since its driver started`
    return {
      ...warn('gpus', found, 'reset it when it is idle; have it replaced if they come back'),
      measured: gpus.length,
    }
  })
}

/** Matches an index, a UUID, or the beginning of a UUID, as the container toolkit does. Parts of GPUs always match. */
function isGpu({ index, uuid }: Gpu, id: string): boolean {
  return id === index || (id.startsWith('GPU-') && uuid.startsWith(id)) || id.startsWith('MIG-') || id.includes(':')
}

/** The error count of a GPU without ECC is not a number, and counts as 0. */
function gpuOf(line: string): Gpu {
  const [index = '', uuid = '', , errors = '', memory = ''] = line.split(',').map(column => column.trim())
  return { index, uuid, line, eccErrors: Number.parseInt(errors, 10) || 0, memoryMib: Number.parseInt(memory, 10) }
}

function isFilled(line: string): boolean {
  return line.trim() !== ''
}
