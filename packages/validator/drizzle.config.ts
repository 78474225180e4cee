import { defineConfig } from 'drizzle-kit'

/** `drizzle-kit generate` here writes the migrations of src/db/schema.ts, which Postgres and PGlite both run. */
export default defineConfig({ dialect: 'postgresql', schema: './src/db/schema.ts', out: './drizzle' })
