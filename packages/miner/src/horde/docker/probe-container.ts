/** Runs a probe in a short container of the executor image, on the engine of a pool. */
import { type Readable, Writable } from 'node:stream'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import { PROBE_MS, type Probe, type ProbeResult, ProbeTimeoutError } from '../manager.ts'
import { forwardLog } from './container-log.ts'
import { type DockerHost, endFailed } from './docker-host.ts'
import type { ContainerOptions } from './engine-client.ts'
import { EngineError } from './engine-error.ts'
import { newContainerName, OWNER_LABEL, RUN_LABEL, THIS_RUN } from './executor-container.ts'

const MEMORY_BYTES = 256 * 1024 * 1024
const PIDS = 64
const NOT_FOUND = 404
/** What engines say of a program that the image does not have. */
const NO_PROGRAM = /executable file not found|no such file or directory: unknown/

/** @throws EngineError, ProbeTimeoutError */
export async function probeInContainer(probe: Probe, host: DockerHost): Promise<ProbeResult> {
  const { engine, closed, clock } = host
  const name = newContainerName()
  let failure: unknown
  try {
    const id = await engine.createContainer({ name, ...optionsOf(probe, host) })
    // Before the start: an engine gives what is said from then on.
    const heard = saidBy(await engine.output(id, closed))
    heard.catch(() => {})
    await engine.startContainer(id)
    const ended = engine.waitForEnd(id, closed)
    ended.catch(() => {})
    const exitCode = await withDeadline(ended, PROBE_MS, `${probe.command[0]} in a container`, clock)
    return { exitCode, output: await withDeadline(heard, PROBE_MS, 'what a container said', clock) }
  } catch (error) {
    failure = error
    if (error instanceof DeadlineError) throw new ProbeTimeoutError(error.message, { cause: error })
    if (!(error instanceof EngineError) || error.status === undefined || error.status === NOT_FOUND) throw error
    return NO_PROGRAM.test(error.message) ? { missing: true } : { refused: error.message }
  } finally {
    await endFailed(name, failure, { ...host, stopWithinMs: 0 }).catch(err =>
      host.log.debug({ err }, 'probe not removed'),
    )
  }
}

/** All that a container says until it ends, stdout and stderr together. */
async function saidBy(output: Readable): Promise<string> {
  const pieces: Buffer[] = []
  const collect = new Writable({
    write(piece: Buffer, _encoding, written) {
      pieces.push(piece)
      written()
    },
  })
  await forwardLog(output, collect)
  return Buffer.concat(pieces).toString()
}

function optionsOf({ command, gpus }: Probe, { image, owner }: DockerHost): ContainerOptions {
  const [program = '', ...args] = command
  const isGiven = gpus.length > 0
  const devices = gpus === 'all' ? { Count: -1 } : { DeviceIDs: [...gpus] }
  return {
    Image: image,
    Entrypoint: [program],
    Cmd: args,
    // NVIDIA's runtime gives nvidia-smi as well where it is asked for it.
    Env: isGiven ? ['NVIDIA_DRIVER_CAPABILITIES=utility'] : ['NVIDIA_VISIBLE_DEVICES=void'],
    Labels: { [OWNER_LABEL]: owner, [RUN_LABEL]: THIS_RUN },
    AttachStdout: true,
    AttachStderr: true,
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      // The disk of the engine, where executors and their jobs write.
      Mounts: [{ Type: 'volume', Source: '', Target: '/tmp' }],
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: MEMORY_BYTES,
      MemorySwap: MEMORY_BYTES,
      PidsLimit: PIDS,
      LogConfig: { Type: 'none', Config: {} },
      ...(isGiven && { DeviceRequests: [{ Driver: 'nvidia', ...devices, Capabilities: [['gpu', 'utility']] }] }),
    },
  }
}
