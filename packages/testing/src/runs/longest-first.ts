import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * The files that take more than 20 seconds on an idle machine, longest first. Without this list a fresh checkout starts
 * files by size, and a long test in a small file then runs alone at the end.
 */
export const LONG_FILES = [
  'packages/deploy/test/install/install-and-update.test.ts',
  'packages/devnet/e2e/horde.heavy.test.ts',
  'bench/test/chaos.heavy.test.ts',
  'bench/test/restarts.heavy.test.ts',
  'bench/test/soak.heavy.test.ts',
  'packages/executor/test/hostile/hostile-images.test.ts',
  'packages/executor/test/hostile/hostile-scripts.test.ts',
  'packages/miner/test/jobs/conversation-validators.test.ts',
  'packages/executor/test/v2026/failures.test.ts',
  'packages/miner/test/horde/docker/managers-hosts.test.ts',
  'packages/executor/test/container/late-engine.test.ts',
  'packages/validator/test/main.test.ts',
  'packages/miner/test/horde/docker/managers-gpus.test.ts',
  'packages/executor/test/container/folders.test.ts',
  'packages/executor/test/job/warm-losses.test.ts',
  'packages/executor/test/job/result.test.ts',
  'packages/kit/test/power-cut.test.ts',
  'packages/executor/test/miner/miner-away.test.ts',
  'packages/executor/test/zip/outputs-hostile.test.ts',
  'packages/executor/test/zip/inputs-hostile.test.ts',
  'packages/miner/test/commands/check.test.ts',
  'packages/validator/test/benchmarks/hashcat-image.test.ts',
  'packages/executor/test/job/job-log.test.ts',
  'packages/executor/test/images/job-images.test.ts',
]

/** Starts the long files of each project first, so that no phase of a run ends with one slow file alone. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const projects = Map.groupBy(await super.sort(files), ({ project }) => project.name)
    return [...projects.values()].flatMap(specs => specs.toSorted((a, b) => rankOf(a) - rankOf(b)))
  }
}

/** Returns the place of a file in the list, or a place behind it. */
function rankOf({ moduleId }: TestSpecification): number {
  const at = LONG_FILES.findIndex(name => moduleId.endsWith(`/${name}`))
  return at === -1 ? LONG_FILES.length : at
}
