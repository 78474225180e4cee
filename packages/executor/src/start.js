/**
 * The program: `node packages/executor/src/start.js`, started by a miner for one job.
 *
 * Plain JavaScript, because Node loads its type stripper for an entry point in TypeScript, every time: 25 ms and 15 MiB.
 * What is imported from here on comes stripped and compiled from the cache, from the second start on.
 */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../../../node_modules/.cache/compute-horde', import.meta.url)))
await import('./main.ts')
