import type { Finding } from '@horde/kit/check/finding'
import type { ExecutorSettings } from '../config.ts'
import type { Engine } from '../engine/container.ts'
import type { Identity } from '../engine/identity.ts'
import { gpusOf } from './gpus.ts'
import { type HostFacts, hostFacts } from './host-facts.ts'
import { judgeHost } from './judge-host.ts'

export interface LookDeps {
  engine: Engine
  settings: Pick<ExecutorSettings, 'EXECUTOR_GPU_DEVICE_IDS' | 'KNOWN_ESCAPES' | 'RUNTIME'>
  self: Identity
}

/** Everything that can be known without starting a container, judged. */
export async function lookAtHost({
  engine,
  settings,
  self,
}: LookDeps): Promise<{ facts: HostFacts; findings: Finding[] }> {
  const told = await engine.facts()
  const hasGpus = gpusOf(settings.EXECUTOR_GPU_DEVICE_IDS, told) !== undefined
  const facts = await hostFacts(told, { hasGpus, inContainer: self.kind === 'container' })
  const runtime = settings.RUNTIME ?? facts.defaultRuntime
  return {
    facts,
    findings: judgeHost({ facts, runtime, hasGpus, refusesEscapes: settings.KNOWN_ESCAPES === 'refuse' }),
  }
}
