/** Prints every measurement. Command: `pnpm bench [rounds]`. */
import { benchEcho } from './echo.ts'
import { benchStartup } from './startup.ts'

const ROUNDS = 20

const rounds = Number(process.argv[2] ?? ROUNDS)
await benchStartup(rounds)
process.stdout.write('\n')
await benchEcho(rounds)
