/** Runs a probe in a short container of the executor image, on the engine of a pool. */
import { readOutput } from '@horde/engine/container-output'
import { type ContainerOptions, gpuRequest } from '@horde/engine/containers'
import { isRefusal } from '@horde/engine/engine-error'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import { PROBE_MS, type Probe, type ProbeResult, ProbeTimeoutError } from '../probe.ts'
import { type DockerHost, endFailed } from './docker-host.ts'
import { confined, newContainerName, OWNER_LABEL, RUN_LABEL, THIS_RUN } from './executor-container.ts'

const MEMORY_BYTES = 256 * 1024 * 1024
const PIDS = 64

/** @throws EngineError, ProbeTimeoutError */
export async function probeInContainer(probe: Probe, host: DockerHost): Promise<ProbeResult> {
  const { engine, closed, clock } = host
  const name = newContainerName()
  let failure: unknown
  try {
    const id = await engine.containers.create(optionsOf(probe, host), name)
    // Before the start: an engine gives what is said from then on.
    const heard = readOutput(await engine.containers.attach(id, closed))
    heard.catch(() => {})
    await engine.containers.start(id, probe.command[0])
    const ended = engine.containers.waitForEnd(id, closed)
    ended.catch(() => {})
    const exitCode = await withDeadline(ended, PROBE_MS, `${probe.command[0]} in a container`, clock)
    return { exitCode, output: await withDeadline(heard, PROBE_MS, 'what a container said', clock) }
  } catch (error) {
    failure = error
    if (error instanceof DeadlineError) throw new ProbeTimeoutError(error.message, { cause: error })
    if (!isRefusal(error) || error.code === 'not-found') throw error
    return error.problem === 'cannot-run' ? { missing: true } : { refused: error.message }
  } finally {
    await endFailed(name, failure, { ...host, stopWithinMs: 0 }).catch(err =>
      host.log.debug({ err }, 'probe not removed'),
    )
  }
}

function optionsOf({ command, gpus }: Probe, { image, owner }: DockerHost): ContainerOptions {
  const [program = '', ...args] = command
  const isGiven = gpus.length > 0
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
      ...confined(MEMORY_BYTES, PIDS),
      LogConfig: { Type: 'none', Config: {} },
      ...(isGiven && { DeviceRequests: [gpuRequest(gpus, ['gpu', 'utility'])] }),
    },
  }
}
