/** Makes the template of new embedded databases if it is missing. `bin/setup` runs this command. */
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { ARCHIVE, FOLDER, INIT_PARAMETERS, TEMPLATE, TEMPLATES } from './template.ts'

async function makeTemplate(): Promise<void> {
  await mkdir(TEMPLATES, { recursive: true })
  const others = (await readdir(TEMPLATES)).filter(name => name !== basename(TEMPLATE))
  const isMade = others.length < (await readdir(TEMPLATES)).length
  for (const name of others) await rm(join(TEMPLATES, name), { recursive: true })
  if (isMade) return
  const making = await mkdtemp(join(TEMPLATES, 'making-'))
  const client = await PGlite.create({ dataDir: join(making, FOLDER), initDbStartParams: INIT_PARAMETERS })
  const archive = await client.dumpDataDir('none')
  await client.close()
  await writeFile(join(making, ARCHIVE), Buffer.from(await archive.arrayBuffer()))
  await rename(making, TEMPLATE)
}

await makeTemplate()
