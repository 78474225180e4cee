import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { TEST_MS, WAIT_MS } from './packages/testing/src/limits.ts'
import { SlowestFiles } from './packages/testing/src/slowest-files.ts'

/** Most tests wait for an engine or a database: on two cores, two files at a time take two thirds of the time of one. */
const LEAST_WORKERS = 2

/** Where `.ci/run` reads what a run has counted, as JSON. */
const REPORT = process.env.TEST_REPORT

const SHOWN = ['default', new SlowestFiles()]

const JSON_REPORT: ['json', { outputFile?: string | undefined }] = ['json', { outputFile: REPORT }]
/** What a run prints and writes; `pnpm test:peers` has it from here, too. */
export const reporters = REPORT === undefined ? SHOWN : [...SHOWN, JSON_REPORT]

export const shared = {
  testTimeout: TEST_MS,
  hookTimeout: TEST_MS,
  expect: { poll: { timeout: WAIT_MS } },
  // Ours are the CommonJS ones (docs/decisions/0014-polkadot-as-commonjs.md); tests import the others beside them.
  env: { POLKADOTJS_DISABLE_ESM_CJS_WARNING: '1' },
}
/** Files that start hordes, kill services or measure. */
const HEAVY = ['packages/*/{test,e2e}/**/*.heavy.test.ts', 'bench/test/**/*.heavy.test.ts']

export default defineConfig({
  test: {
    maxWorkers: Math.max(LEAST_WORKERS, availableParallelism() - 1),
    reporters,
    projects: [
      {
        test: { name: 'unit', include: ['packages/*/src/**/*.test.ts'], sequence: { groupOrder: 0 }, ...shared },
      },
      {
        test: {
          name: 'integration',
          include: ['packages/*/{test,e2e}/**/*.test.ts', 'bench/test/**/*.test.ts'],
          exclude: HEAVY,
          sequence: { groupOrder: 1 },
          ...shared,
        },
      },
      {
        // One after the other, and beside nothing else: what they measure is theirs.
        test: { name: 'heavy', include: HEAVY, fileParallelism: false, sequence: { groupOrder: 2 }, ...shared },
      },
    ],
  },
})
