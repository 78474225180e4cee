/** The miner and its operator's commands: see `main.ts --help`. */
import { runService } from '@horde/kit/run'
import { runCommand } from './commands/run-command.ts'
import { readMinerConfig } from './config.ts'

/** How long closing may take in addition to the time for running jobs and their executors, in milliseconds. */
const CLOSE_MS = 10_000

/** What SIGHUP does; set once there is something to reload. */
let onHangup = () => {}

const deps = {
  environment: process.env,
  print: (text: string) => void process.stdout.write(text),
  complain: (text: string) => void process.stderr.write(text),
  setOnHangup: (reload: () => void) => {
    onHangup = reload
  },
}

await runService('miner', signal => runCommand(process.argv.slice(2), deps, signal), {
  stopWithinMs: stopWithinMs(process.env),
  onHangup: () => onHangup(),
})

/** Returns how long after a signal the process is killed, in milliseconds. Wrong settings end the miner anyway. */
function stopWithinMs(environment: NodeJS.ProcessEnv): number {
  try {
    const { STOP_GRACE_SECONDS, EXECUTOR_STOP_SECONDS } = readMinerConfig(environment)
    return CLOSE_MS + (STOP_GRACE_SECONDS + 2 * EXECUTOR_STOP_SECONDS) * 1000
  } catch {
    return CLOSE_MS
  }
}
