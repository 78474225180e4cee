/** The report of a `check` command: one line for each finding, and an exit code. */
import { ConfigError, type SettingMistake } from '../config.ts'
import { bad, type Finding, findingLine } from './finding.ts'

const EXIT_BAD = 1
const TABLE = 'see the table in the README'

/** Prints each finding as it arrives. Returns the exit code: 1 when a finding is bad, else 0. */
export async function printFindings(findings: AsyncIterable<Finding>, print: (text: string) => void): Promise<number> {
  let isGood = true
  for await (const finding of findings) {
    isGood &&= finding.verdict !== 'bad'
    print(`${findingLine(finding)}\n`)
  }
  return isGood ? 0 : EXIT_BAD
}

/** Returns a finding for each mistake of a ConfigError; throws any other error again. */
export function mistakesOf(
  error: unknown,
  adviceFor: (mistake: SettingMistake) => string = ({ advice = TABLE }) => advice,
): Finding[] {
  if (!(error instanceof ConfigError)) throw error
  return error.mistakes.map(mistake => bad('settings', `${mistake.name} ${mistake.problem}`, adviceFor(mistake)))
}
