import { fileURLToPath } from 'node:url'

/** Where this package's migrations are, the same for both engines. */
export const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))
