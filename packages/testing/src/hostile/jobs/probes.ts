/**
 * Jobs that try to escape from the container. The script tries every known way, and prints each that was not refused.
 */
import { readFileSync } from 'node:fs'
import { finishes, type Trial } from '../trial.ts'

const PROBES = readFileSync(new URL('./probes.py', import.meta.url), 'utf8')

export const probes: readonly Trial[] = [
  { name: 'tries every way to escape', parts: { script: PROBES }, expected: finishes(/^tried\n$/) },
  {
    name: 'tries every way to escape, as root',
    parts: { args: ['python', '-c', PROBES] },
    image: { changes: ['USER root'] },
    expected: finishes(/^tried\n$/),
  },
]
