import { openDatabase } from '@horde/kit/database'
import { lockFolder } from '@horde/kit/database/folder-lock'
import { addJob, migrationsFolder } from '../jobs.ts'

/** Takes a folder, says so, and holds it until it is killed or its stdin ends. */
const [what, folder = ''] = process.argv.slice(2)
try {
  if (what === 'lock') await lockFolder(folder)
  else await addJob((await openDatabase({ url: `pglite://${folder}`, migrationsFolder })).db, { id: 1, state: 'kept' })
  process.stdout.write('held\n')
  process.stdin.resume().on('end', () => process.exit(0))
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`)
}
