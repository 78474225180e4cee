import type { Engine } from '@horde/engine/engine'
import type { Finding } from '@horde/kit/check/finding'
import type { ExecutorSettings } from '../config.ts'
import type { Identity } from '../workspace/identity.ts'
import { gpusOf } from './gpus.ts'
import { type HostFacts, hostFacts } from './host-facts.ts'
import { judgeHost } from './judge-host.ts'

export interface InspectDeps {
  engine: Engine
  settings: Pick<ExecutorSettings, 'EXECUTOR_GPU_DEVICE_IDS' | 'KNOWN_ESCAPES' | 'RUNTIME'>
  self: Identity
}

/** Returns everything that can be known about this host without starting a container, and what is wrong with it. */
export async function inspectHost({
  engine,
  settings,
  self,
}: InspectDeps): Promise<{ facts: HostFacts; findings: Finding[] }> {
  const known = await engine.facts()
  const hasGpus = gpusOf(settings.EXECUTOR_GPU_DEVICE_IDS, known) !== undefined
  const facts = await hostFacts(known, { hasGpus, inContainer: self.kind === 'container' })
  const runtime = settings.RUNTIME ?? facts.defaultRuntime
  return {
    facts,
    findings: judgeHost({ facts, runtime, hasGpus, refusesEscapes: settings.KNOWN_ESCAPES === 'refuse' }),
  }
}
