/** Measures live memory of this process: what a collection of all garbage leaves. */
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const BYTES_PER_MIB = 2 ** 20
/** The time between two collections, in ms. Each takes some 20 ms, so times of the same run are void. */
const SAMPLE_MS = 250
/** One collection runs the finalizers of closed sockets, and a later one frees what they release. */
const COLLECTIONS_AT_REST = 4

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Returns the live heap and its buffers while nothing runs, in MiB. */
export async function liveMibAtRest(): Promise<number> {
  for (let collection = 1; collection < COLLECTIONS_AT_REST; collection += 1) {
    collectGarbage()
    await sleep(SAMPLE_MS)
  }
  return liveMib()
}

/** Runs `work` and returns the largest live heap with its buffers meanwhile, in MiB. */
export async function peakLiveMib(work: () => Promise<unknown>): Promise<number> {
  let peak = 0
  const sampling = setInterval(() => {
    peak = Math.max(peak, liveMib())
  }, SAMPLE_MS)
  try {
    await work()
  } finally {
    clearInterval(sampling)
  }
  return peak
}

function liveMib(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / BYTES_PER_MIB
}
