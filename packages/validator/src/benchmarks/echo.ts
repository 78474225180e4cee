import { randomUUID } from 'node:crypto'
import type { Benchmark } from './benchmark.ts'
import { zipOf } from './zip-of.ts'

/** What the image prints: this file of /volume, byte for byte. */
const INPUT_FILE = 'payload.txt'

export interface EchoSettings {
  image: string
  timeoutSeconds: number
  referenceSeconds: number
}

/** A text to say again, byte for byte: measures what a job costs beside its work. */
export function echoBenchmark({ image, timeoutSeconds, referenceSeconds }: EchoSettings): Benchmark {
  return {
    name: 'echo',
    prepare: async () => {
      const payload = randomUUID()
      const input = await zipOf(INPUT_FILE, payload)
      return { label: 'echo', image, command: [], input, timeoutSeconds, referenceSeconds, challenge: { payload } }
    },
    verify: ({ payload }, { stdout }) =>
      stdout === payload
        ? { score: 1, comment: 'The text came back as it was.' }
        : { score: 0, comment: 'What came back is not the text.' },
  }
}
