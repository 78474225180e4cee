/**
 * A new embedded database is a copy of a template: making one from nothing takes PGlite three seconds and four of processor
 * time, a copy a tenth of that. `bin/setup` makes the template (make-template.ts); without it PGlite starts from nothing.
 */
import { createHash } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { access, cp, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const TEMPLATES = fileURLToPath(
  new URL('../../../../node_modules/.cache/compute-horde/databases', import.meta.url),
)
/** A new database's own: files of the write-ahead log of 1 MB and not of 16. */
export const INIT_PARAMETERS = ['--wal-segsize=1']

/** The path of the package names its version. */
const RELEASE = createHash('sha256')
  .update(import.meta.resolve('@electric-sql/pglite') + INIT_PARAMETERS)
  .digest('hex')
  .slice(0, 16)

/** The template of the PGlite that is installed: its folder, which need not exist. */
export const TEMPLATE = join(TEMPLATES, RELEASE)
/** In it: what a database in a folder starts from, and the same as a tar. */
export const FOLDER = 'data'
export const ARCHIVE = 'data.tar'

/** Makes `dataDir` a new database; does nothing when there is something already, or no template. */
export async function copyTemplate(dataDir: string): Promise<void> {
  const template = join(TEMPLATE, FOLDER)
  if ((await exists(dataDir)) || !(await exists(template))) return
  // A process that is killed leaves a whole database or none.
  const copying = `${dataDir}.new`
  await rm(copying, { recursive: true, force: true })
  await cp(template, copying, { recursive: true })
  await flushFolder(copying)
  await rename(copying, dataDir)
  await flushFolder(dirname(dataDir), { recursive: false })
}

/** Returns what a database in memory starts from; undefined when there is no template. */
export async function templateArchive(): Promise<Blob | undefined> {
  const archive = join(TEMPLATE, ARCHIVE)
  return (await exists(archive)) ? await openAsBlob(archive) : undefined
}

/** Postgres flushes what it writes itself, and the copy's files are none of that. */
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
