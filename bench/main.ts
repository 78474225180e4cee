/** Runs all benchmarks and prints their tables. Command: `pnpm bench [rounds] [jobs at once]`. */
import { benchConcurrentJobs } from './concurrent-jobs.ts'
import { benchEcho } from './echo.ts'
import { benchStartup } from './startup.ts'
import { benchThroughMiner } from './through-miner.ts'
import { benchValidatorBatch } from './validator-batch.ts'

const ROUNDS = 20
/** How many jobs run at once on one miner. */
const JOBS_AT_ONCE = 50

const rounds = Number(process.argv[2] ?? ROUNDS)
const jobsAtOnce = Number(process.argv[3] ?? JOBS_AT_ONCE)
await benchStartup(rounds)
process.stdout.write('\n')
await benchEcho(rounds)
process.stdout.write('\n')
await benchThroughMiner(rounds)
process.stdout.write('\n')
await benchConcurrentJobs(jobsAtOnce)
process.stdout.write('\n')
await benchValidatorBatch()
