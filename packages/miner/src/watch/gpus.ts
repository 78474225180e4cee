/** The GPUs of this machine, as NVIDIA's own tool sees them: one that fell off the bus, and memory that lies. */
import { execFile } from 'node:child_process'
import { bad, type Finding, ok, warn } from '@horde/kit/watch/finding'
import { driverMismatch } from '@horde/kit/watch/nvidia-driver'
import type { Watch } from '@horde/kit/watch/watches'

const EVERY_MS = 60_000
/** How long nvidia-smi may take, in milliseconds: beside a GPU that is lost it hangs. */
const ASK_MS = 15_000
const QUERY = ['--query-gpu=index,uuid,name,ecc.errors.uncorrected.volatile.total', '--format=csv,noheader,nounits']
/** What stands in a column of a GPU that does not work any more. */
const LOST = /requires reset|unknown error|is lost|\bERR!/i
/** Longest piece of nvidia-smi's own words that is repeated, in characters. */
const LONGEST_SAID = 160

/** `all`, or indices and UUIDs as nvidia-smi lists them. */
export type UsedGpus = 'all' | readonly string[]

type Gpu = { index: string; uuid: string; line: string; eccErrors: number }

/**
 * @param used the GPUs that executors use; nobody looks while that is none
 * @param environment of the child process: PATH and the like
 */
export function gpuWatch(used: () => UsedGpus, environment: Readonly<Record<string, string>>): Watch {
  let most = 0
  const look = async (signal: AbortSignal): Promise<Finding[]> => {
    const wanted = used()
    if (wanted.length === 0) return []
    const answer = await askNvidiaSmi(environment, signal)
    // A miner in a container has not got it, wherever the GPUs are.
    if (answer === 'not here') return [ok('gpus', 'nobody looks at them: nvidia-smi is not here')]
    if ('problem' in answer) {
      const { problem } = answer
      return [driverMismatch(problem) ?? bad('gpus', problem, 'see dmesg; a GPU that is lost needs a reset')]
    }
    const { gpus } = answer
    most = Math.max(most, gpus.length)
    return gpuFindings(gpus, wanted, most)
  }
  return { name: 'gpus', everyMs: EVERY_MS, look }
}

/** @param most how many there have been since the start */
function gpuFindings(gpus: readonly Gpu[], used: UsedGpus, most: number): Finding[] {
  const lost = gpus.filter(({ line }) => LOST.test(line))
  if (lost.length > 0) {
    const found = `GPU ${lost.map(({ index }) => index).join(', ')} does not work any more`
    return [bad('gpus', found, 'reset it (nvidia-smi --gpu-reset), or restart the machine')]
  }
  const missing = used === 'all' ? [] : used.filter(id => !gpus.some(gpu => isGpu(gpu, id)))
  const advice = 'see dmesg: a GPU that fell off the bus comes back with a restart; or take it out of the settings'
  if (missing.length > 0) return [bad('gpus', `${gpus.length} are here, but not ${missing.join(', ')}`, advice)]
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

/** By index, by UUID, or by the beginning of a UUID, as the container toolkit takes them. Parts of GPUs are not listed. */
function isGpu({ index, uuid }: Gpu, id: string): boolean {
  return id === index || (id.startsWith('GPU-') && uuid.startsWith(id)) || id.startsWith('MIG-') || id.includes(':')
}

type Answer = { gpus: Gpu[] } | { problem: string } | 'not here'

function askNvidiaSmi(environment: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer> {
  const options = { env: { ...environment }, timeout: ASK_MS, killSignal: 'SIGKILL', signal } as const
  return new Promise(resolve => {
    execFile('nvidia-smi', QUERY, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ gpus: stdout.split('\n').filter(isFilled).map(gpuOf) })
      if (error.code === 'ENOENT') return resolve('not here')
      const [said = ''] = `${stdout}\n${stderr}`.split('\n').filter(isFilled)
      const how = error.killed ? `gave no answer within ${ASK_MS / 1000} s` : `exited with ${error.code}`
      resolve({ problem: `nvidia-smi ${how}${said === '' ? '' : `: ${said.trim().slice(0, LONGEST_SAID)}`}` })
    })
  })
}

/** A GPU without ECC has no number there. */
function gpuOf(line: string): Gpu {
  const [index = '', uuid = '', , errors = ''] = line.split(',').map(column => column.trim())
  return { index, uuid, line, eccErrors: Number.parseInt(errors, 10) || 0 }
}

function isFilled(line: string): boolean {
  return line.trim() !== ''
}
