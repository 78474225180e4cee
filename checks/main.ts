/** `pnpm check`: prints every place that breaks a rule of the house, and exits with 1 if there is one. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { findFaults } from './house-rules.ts'

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'packages/*/src/*.ts'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter(file => file.endsWith('.ts'))

const faults = findFaults(new Map(files.map(file => [file, readFileSync(file, 'utf8')])))
for (const { file, line, rule } of faults) process.stderr.write(`${file}${line ? `:${line}` : ''}: ${rule}\n`)
if (faults.length > 0) process.exitCode = 1
