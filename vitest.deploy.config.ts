/** The long matrix of deployment tests, `pnpm test:deploy`: what takes too long for `pnpm test`. */
import { defineConfig } from 'vitest/config'
import { ResultTable } from './packages/deploy/src/testing/result-table.ts'

/** How long one test, and one hook, may take on a busy machine with two cores, in milliseconds. */
const TEST_MS = 1_800_000

export default defineConfig({
  test: {
    include: ['packages/deploy/matrix/**/*.test.ts'],
    reporters: ['verbose', new ResultTable()],
    // Each builds images or starts whole servers: one after the other, so that none is measured beside another.
    fileParallelism: false,
    testTimeout: TEST_MS,
    hookTimeout: TEST_MS,
  },
})
