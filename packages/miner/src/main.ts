/** The miner and its operator's commands: see `main.ts --help`. */
import { runService } from '@horde/kit/run'
import { runCommand } from './commands/run-command.ts'
import { stopWithinMs } from './commands/stop-within.ts'

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
