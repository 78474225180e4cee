/** Runs a probe in a short-lived container of the executor image, on the engine of a pool. */
import { readOutput } from '@horde/engine/container-output'
import { type ContainerOptions, gpuRequest } from '@horde/engine/containers'
import { isRefusal } from '@horde/engine/engine-error'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import { PROBE_MS, type Probe, type ProbeResult, ProbeTimeoutError } from '../manager.ts'
import { type DockerHost, removeFailed } from './docker-host.ts'
import { confined, newContainerName, OWNER_LABEL, RUN_LABEL, THIS_RUN } from './executor-container.ts'

const MEMORY_BYTES = 256 * 1024 * 1024
const PIDS = 64

/**
 * Runs the probe to its end and removes its container.
 *
 * @throws EngineError, ProbeTimeoutError
 */
export async function probeInContainer(probe: Probe, host: DockerHost): Promise<ProbeResult> {
  const { engine, closed, clock } = host
  const name = newContainerName()
  let failure: unknown
  try {
    const id = await engine.containers.create(optionsOf(probe, host), name)
    // Attach before the start: an engine sends only what is printed from then on.
    const printed = readOutput(await engine.containers.attach(id, closed))
    printed.catch(() => {})
    await engine.containers.start(id, probe.command[0])
    const ended = engine.containers.waitForEnd(id, closed)
    ended.catch(() => {})
    const exitCode = await withDeadline(ended, PROBE_MS, `${probe.command[0]} in a container`, clock)
    return { exitCode, output: await withDeadline(printed, PROBE_MS, 'the output of a container', clock) }
  } catch (error) {
    failure = error
    if (error instanceof DeadlineError) throw new ProbeTimeoutError(error.message, { cause: error })
    if (!isRefusal(error) || error.code === 'not-found') throw error
    return error.problem === 'cannot-run' ? { missing: true } : { refused: error.message }
  } finally {
    await removeFailed(name, failure, { ...host, stopWithinMs: 0 }).catch(err =>
      host.log.debug({ err }, 'the container of a probe could not be removed'),
    )
  }
}

function optionsOf({ command, gpus }: Probe, { image, owner }: DockerHost): ContainerOptions {
  const [program = '', ...args] = command
  const hasGpus = gpus.length > 0
  return {
    Image: image,
    Entrypoint: [program],
    Cmd: args,
    // With the capability `utility` NVIDIA's runtime also adds nvidia-smi.
    Env: hasGpus ? ['NVIDIA_DRIVER_CAPABILITIES=utility'] : ['NVIDIA_VISIBLE_DEVICES=void'],
    Labels: { [OWNER_LABEL]: owner, [RUN_LABEL]: THIS_RUN },
    AttachStdout: true,
    AttachStderr: true,
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      // On the disk of the engine, to which executors and their jobs write.
      Mounts: [{ Type: 'volume', Source: '', Target: '/tmp' }],
      ...confined(MEMORY_BYTES, PIDS),
      LogConfig: { Type: 'none', Config: {} },
      ...(hasGpus && { DeviceRequests: [gpuRequest(gpus, ['gpu', 'utility'])] }),
    },
  }
}
