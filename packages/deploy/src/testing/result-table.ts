/** A reporter that prints a table of all tests: result, seconds, and the machine's load when the test ended. */
import { loadavg } from 'node:os'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

const RESULTS = { passed: 'ok', failed: 'FAILED', skipped: 'skipped', pending: 'not run' } as const
const MS_PER_S = 1000

export class ResultTable implements Reporter {
  readonly #loads = new Map<string, number>()

  onTestCaseResult(test: TestCase): void {
    this.#loads.set(test.id, loadavg()[0] ?? 0)
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const tables = modules.map(module => [...fileRow(module), ...this.#rowsOf(module)].join('\n'))
    process.stdout.write(`\nresult   seconds  load  test\n${tables.join('\n')}\n`)
  }

  #rowsOf(module: TestModule): string[] {
    return [...module.children.allTests()].map(test => {
      const load = this.#loads.get(test.id)?.toFixed(1) ?? ''
      return row(RESULTS[test.result().state], test.diagnostic()?.duration, load, `  ${test.fullName}`)
    })
  }
}

/**
 * Returns the row of a file, with the seconds of its hooks, which build images. It says FAILED when the file failed but
 * none of its tests did.
 */
function fileRow(module: TestModule): string[] {
  const tests = [...module.children.allTests()]
  const inTests = tests.reduce((sum, test) => sum + (test.diagnostic()?.duration ?? 0), 0)
  const failed = module.state() === 'failed' && tests.every(test => test.result().state !== 'failed')
  const name = `${module.relativeModuleId}, before and after its tests`
  return [row(failed ? RESULTS.failed : '', module.diagnostic().duration - inTests, '', name)]
}

function row(result: string, ms: number | undefined, load: string, name: string): string {
  const seconds = ms === undefined ? '' : (ms / MS_PER_S).toFixed(1)
  return `${result.padEnd(8)}${seconds.padStart(8)}${load.padStart(6)}  ${name}`
}
