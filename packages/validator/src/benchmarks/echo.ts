import { randomUUID } from 'node:crypto'
import { type Benchmark, zipOf } from './benchmark.ts'

/** The file of /volume that the image prints. */
const INPUT_FILE = 'payload.txt'

export interface EchoSettings {
  image: string
  timeoutSeconds: number
  referenceSeconds: number
}

/** Makes the benchmark whose jobs print their input unchanged. It measures the overhead of a job. */
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
        ? { score: 1, comment: 'The output is the input.' }
        : { score: 0, comment: 'The output is not the input.' },
  }
}
