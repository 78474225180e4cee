/** Other people's clients of the local chain, `pnpm test:peers`. `bin/setup --sdks` brings them. */
import { defineConfig } from 'vitest/config'
import { reporters, shared } from './vitest.config.ts'

export default defineConfig({
  test: { include: ['packages/*/peers/**/*.test.ts'], reporters, ...shared },
})
