/** The validator and its operator's commands: see `main.ts --help`. */
import { runService } from '@horde/kit/run'
import { runCommand } from './commands/run-command.ts'

const deps = {
  environment: process.env,
  print: (text: string) => void process.stdout.write(text),
  complain: (text: string) => void process.stderr.write(text),
}

await runService('validator', signal => runCommand(process.argv.slice(2), deps, signal))
