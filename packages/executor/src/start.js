/**
 * The program: `node packages/executor/src/start.js`, started by a miner for one job.
 *
 * Plain JavaScript, because for an entry point in TypeScript Node loads its type stripper at every start: 25 ms and
 * 15 MiB. From the second start on, the imported files come stripped and compiled from the cache.
 */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../../../node_modules/.cache/compute-horde', import.meta.url)))
await import('./main.ts')
