import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { TEST_MS, WAIT_MS } from './packages/testing/src/limits.ts'
import { LongestFirst } from './packages/testing/src/runs/longest-first.ts'
import { SlowestFiles } from './packages/testing/src/runs/slowest-files.ts'

/** Most tests wait for an engine, a database or a program, so three files at a time keep two cores at work. */
const LEAST_WORKERS = 3
/** Files that start hordes or kill services run by threes: they wait more than they work. */
const HEAVY_WORKERS = 3

/** Where `.ci/run` reads what a run has counted, as JSON. */
const REPORT = process.env.TEST_REPORT

// As in `pnpm dev`: what workers and programs import is compiled once, and a service starts in half the time.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('node_modules/.cache/compute-horde', import.meta.url))

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

/** The files of the projects beside the pure tests of `src`, by what their names end with. */
const named = (ending: string) => [`packages/*/{test,e2e}/**/*${ending}`, `bench/test/**/*${ending}`]
/** Files that start hordes or kill services. */
const HEAVY = named('.heavy.test.ts')
/** Files whose subject is how long something takes, or how much memory. */
const MEASURED = named('.measured.test.ts')

export default defineConfig({
  test: {
    maxWorkers: Math.max(LEAST_WORKERS, availableParallelism() - 1),
    reporters,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'checks/*.test.ts'],
          // Pure tests share their imports: most of their time is loading.
          isolate: false,
          sequence: { groupOrder: 0 },
          ...shared,
        },
      },
      {
        test: {
          name: 'integration',
          include: named('.test.ts'),
          exclude: [...HEAVY, ...MEASURED],
          // Files share their imports, one file after the other: to load them anew takes more than a second each time.
          isolate: false,
          sequence: { groupOrder: 1 },
          ...shared,
        },
      },
      {
        test: {
          name: 'heavy',
          include: HEAVY,
          maxWorkers: HEAVY_WORKERS,
          sequence: { groupOrder: 2 },
          ...shared,
        },
      },
      {
        // One after the other, and beside nothing else: what they measure is theirs.
        test: { name: 'measured', include: MEASURED, fileParallelism: false, sequence: { groupOrder: 3 }, ...shared },
      },
    ],
  },
})
