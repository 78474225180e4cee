/** Jobs that try to break out of the sandbox. One job tries many ways and prints each that was not refused. */
import { readFileSync } from 'node:fs'
import { finishes, type Trial } from '../trial.ts'

const PROBES = readFileSync(new URL('./probes.py', import.meta.url), 'utf8')

export const probes: readonly Trial[] = [
  { name: 'every way out', parts: { script: PROBES }, expected: finishes(/^tried\n$/) },
  {
    name: 'every way out, as root',
    parts: { args: ['python', '-c', PROBES] },
    image: { changes: ['USER root'] },
    expected: finishes(/^tried\n$/),
  },
]
