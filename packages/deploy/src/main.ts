/** Prints a role's example settings: `node packages/deploy/src/main.ts validator >docker/validator.env.example`. */
import { envExample } from './env-example.ts'

const [role] = process.argv.slice(2)
if (role === 'validator' || role === 'miner') {
  process.stdout.write(envExample(role))
} else {
  process.stderr.write('usage: node packages/deploy/src/main.ts validator|miner\n')
  process.exitCode = 64
}
