/**
 * Makes new embedded databases. PGlite takes three seconds, and four of CPU time, to make one; a copy of a template
 * takes a tenth of that. `bin/setup` makes the template (make-template.ts).
 */
import { createHash } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { access, cp, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'

export const TEMPLATES = fileURLToPath(
  new URL('../../../../node_modules/.cache/compute-horde/databases', import.meta.url),
)
/** Parameters of new databases: files of the write-ahead log have 1 MB instead of 16. */
const INIT_PARAMETERS = ['--wal-segsize=1']

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

/**
 * Makes a database in `dataDir`: a copy of the template, or without one a new database of PGlite. Does nothing when
 * `dataDir` exists. A killed process or a power cut leaves a complete database or none.
 */
export async function makeDatabase(dataDir: string, template: string = TEMPLATE): Promise<void> {
  if (await exists(dataDir)) return
  const making = `${dataDir}.new`
  await rm(making, { recursive: true, force: true })
  const data = join(template, FOLDER)
  if (await exists(data)) await cp(data, making, { recursive: true })
  else await (await newDatabase(making)).close()
  await flushFolder(making)
  await rename(making, dataDir)
  await flushFolder(dirname(dataDir), { recursive: false })
}

/** Has PGlite make a database in `dataDir`, and opens it. PGlite flushes nothing of it to the disk. */
export function newDatabase(dataDir: string): Promise<PGlite> {
  return PGlite.create({ dataDir, initDbStartParams: INIT_PARAMETERS })
}

/** Returns the template for a database in memory; undefined when there is none. */
export async function templateArchive(): Promise<Blob | undefined> {
  const archive = join(TEMPLATE, ARCHIVE)
  return (await exists(archive)) ? await openAsBlob(archive) : undefined
}

/** Flushes the files of a new database to the disk, which PGlite does not do. */
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
