/** What `check` commands have in common: a line for everything, and the settings' mistakes as lines. */
import { ConfigError } from '../config.ts'
import { bad, type Finding, findingLine } from '../watch/finding.ts'

const EXIT_BAD = 1
const TABLE = 'see the table in the README'

/** Prints each finding as it comes. Gives the exit code: 0 when nothing is bad, else 1. */
export async function printFindings(findings: AsyncIterable<Finding>, print: (text: string) => void): Promise<number> {
  let isGood = true
  for await (const finding of findings) {
    isGood &&= finding.verdict !== 'bad'
    print(`${findingLine(finding)}\n`)
  }
  return isGood ? 0 : EXIT_BAD
}

/** A ConfigError's mistakes; other errors are thrown on. */
export function mistakesOf(error: unknown): Finding[] {
  if (!(error instanceof ConfigError)) throw error
  return error.mistakes.map(({ name, problem, advice = TABLE }) => bad('settings', `${name} ${problem}`, advice))
}
