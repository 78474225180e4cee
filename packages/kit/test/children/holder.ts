import { lockFolder } from '@horde/kit/database/folder-lock'

/** Locks a folder, prints that, and keeps the lock until it is killed or its stdin ends. */
const [what, folder = ''] = process.argv.slice(2)
try {
  if (what === 'lock') await lockFolder(folder)
  else await openAndWrite()
  process.stdout.write('held\n')
  process.stdin.resume().on('end', () => process.exit(0))
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`)
}

async function openAndWrite(): Promise<void> {
  const { openDatabase } = await import('@horde/kit/database')
  const { addJob, migrationsFolder } = await import('../jobs.ts')
  const { db } = await openDatabase({ url: `pglite://${folder}`, migrationsFolder })
  await addJob(db, { id: 1, state: 'kept' })
}
