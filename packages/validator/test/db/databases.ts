import { fileURLToPath } from 'node:url'
import { type OpenDatabase, openDatabase } from '@horde/kit/database'
import { startPostgres, type TestPostgres } from '@horde/testing/postgres'
import { afterAll, beforeAll } from 'vitest'

const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))

export function openTestDatabase(url = 'pglite://memory'): Promise<OpenDatabase> {
  return openDatabase({ url, migrationsFolder })
}

/** Opens one database in memory for all tests of a file. */
export function withDatabase(): () => OpenDatabase {
  let database: OpenDatabase
  beforeAll(async () => {
    database = await openTestDatabase()
  })
  afterAll(() => database[Symbol.asyncDispose]())
  return () => database
}

/** Starts one Postgres for all tests of a file. */
export function withPostgres(): () => TestPostgres {
  let postgres: TestPostgres
  beforeAll(async () => {
    postgres = await startPostgres()
  })
  afterAll(() => postgres[Symbol.asyncDispose]())
  return () => postgres
}
