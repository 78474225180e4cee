/** Prints every measurement. Command: `pnpm bench [rounds] [jobs at once]`. */
import { benchCrowd } from './crowd.ts'
import { benchEcho } from './echo.ts'
import { benchStartup } from './startup.ts'
import { benchThroughMiner } from './through-miner.ts'
import { benchValidatorBatch } from './validator-batch.ts'

const ROUNDS = 20
/** Jobs at once on one miner. */
const CROWD = 50

const crowd = Number(process.argv[3] ?? CROWD)
const rounds = Number(process.argv[2] ?? ROUNDS)
await benchStartup(rounds)
process.stdout.write('\n')
await benchEcho(rounds)
process.stdout.write('\n')
await benchThroughMiner(rounds)
process.stdout.write('\n')
await benchCrowd(crowd)
process.stdout.write('\n')
await benchValidatorBatch()
