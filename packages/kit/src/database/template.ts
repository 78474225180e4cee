/**
 * Copies new embedded databases from a template, because PGlite takes three seconds, and four of CPU time, to create
 * one; a copy takes a tenth of that. `bin/setup` makes the template (make-template.ts). Without it PGlite creates the
 * database.
 */
import { createHash } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { access, cp, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const TEMPLATES = fileURLToPath(
  new URL('../../../../node_modules/.cache/compute-horde/databases', import.meta.url),
)
/** Parameters of new databases: files of the write-ahead log have 1 MB instead of 16. */
export const INIT_PARAMETERS = ['--wal-segsize=1']

/** Identifies the version of PGlite, which is part of the package's path, and the parameters. */
const RELEASE = createHash('sha256')
  .update(import.meta.resolve('@electric-sql/pglite') + INIT_PARAMETERS)
  .digest('hex')
  .slice(0, 16)

/** The folder of the template for the installed PGlite. It may not exist. */
export const TEMPLATE = join(TEMPLATES, RELEASE)
/** In the template: the data folder of a new database, and the same as a tar. */
export const FOLDER = 'data'
export const ARCHIVE = 'data.tar'

/** Creates a database in `dataDir` from the template. Does nothing when `dataDir` exists, or without a template. */
export async function copyTemplate(dataDir: string): Promise<void> {
  const template = join(TEMPLATE, FOLDER)
  if ((await exists(dataDir)) || !(await exists(template))) return
  // The rename makes this atomic: a killed process leaves a complete database or none.
  const copying = `${dataDir}.new`
  await rm(copying, { recursive: true, force: true })
  await cp(template, copying, { recursive: true })
  await flushFolder(copying)
  await rename(copying, dataDir)
  await flushFolder(dirname(dataDir), { recursive: false })
}

/** Returns the template for a database in memory; undefined when there is none. */
export async function templateArchive(): Promise<Blob | undefined> {
  const archive = join(TEMPLATE, ARCHIVE)
  return (await exists(archive)) ? await openAsBlob(archive) : undefined
}

/** Flushes the copied files, which Postgres did not write and does not flush. */
async function flushFolder(folder: string, { recursive = true } = {}): Promise<void> {
  const entries = recursive ? await readdir(folder, { recursive, withFileTypes: true }) : []
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name))
  await Promise.all([folder, ...paths].map(flushFile))
}

async function flushFile(path: string): Promise<void> {
  await using file = await open(path)
  await file.sync()
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
