import { fileURLToPath } from 'node:url'

/** The folder of this package's migrations, the same for both engines. */
export const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))
