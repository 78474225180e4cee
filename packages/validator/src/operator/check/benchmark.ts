import { bad, type Finding, ok } from '@horde/kit/check/finding'
import { type BenchmarkSettings, loadBenchmark } from '../../benchmarks/load-benchmark.ts'

/** The `check` line about the benchmark: whether it can be loaded and makes a job. */
export async function benchmarkFinding(settings: BenchmarkSettings, nowMs: number): Promise<Finding> {
  try {
    const benchmark = await loadBenchmark(settings)
    const { label, image, timeoutSeconds } = await benchmark.prepare(nowMs)
    return ok('benchmark', `${benchmark.name} makes jobs: ${label} now, by ${image}, within ${timeoutSeconds} s`)
  } catch (error) {
    return bad('benchmark', (error as Error).message, 'see BENCHMARK')
  }
}
