import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** How long one test, and one hook, may take on a busy machine with two cores, in milliseconds. */
const TEST_MS = 60_000
const HOOK_MS = 120_000
const END_TO_END_MS = 300_000

const times = { testTimeout: TEST_MS, hookTimeout: HOOK_MS }

/** Most tests wait for an engine or a clock: on two cores, two files at a time take two thirds of the time of one. */
const LEAST_WORKERS = 2

export default defineConfig({
  test: {
    maxWorkers: Math.max(LEAST_WORKERS, availableParallelism() - 1),
    projects: [
      {
        test: { name: 'unit', include: ['packages/*/src/**/*.test.ts'], sequence: { groupOrder: 0 }, ...times },
      },
      {
        test: { name: 'integration', include: ['packages/*/test/**/*.test.ts'], sequence: { groupOrder: 1 }, ...times },
      },
      {
        test: {
          name: 'e2e',
          include: ['packages/*/e2e/**/*.test.ts'],
          // Each starts a whole horde: one after the other, so that none is measured beside another.
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          testTimeout: END_TO_END_MS,
          hookTimeout: END_TO_END_MS,
        },
      },
    ],
  },
})
