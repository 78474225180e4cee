/** Programs of others against ours, `pnpm test:peers`. `bin/setup --sdks` installs them. */
import { defineConfig } from 'vitest/config'
import { reporters, shared } from './vitest.config.ts'

export default defineConfig({
  test: { include: ['packages/*/peers/**/*.test.ts'], reporters, ...shared },
})
