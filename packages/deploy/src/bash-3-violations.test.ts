// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the names and samples are shell code
import { expect, test } from 'vitest'
import { bash3Violations } from './bash-3-violations.ts'

test.each([
  'declare -A seen',
  'local -n other=$1',
  'mapfile -t lines <file',
  'echo "${name,,}"',
  'echo "${name^}"',
  'echo "${name@Q}"',
  'run "${options[@]}"',
  'command |& cat',
  'readlink -f "$0"',
  'sed -i s/a/b/ file',
  "sed -n 's/a\\+/b/p' file",
  'timeout 5 ssh',
  'date -d yesterday',
  'echo "${list[-1]}"',
  'exec {fd}<file',
  'tar --list',
  'x=$(case $y in a) echo b ;; esac)',
])('refuses %s', line => {
  expect(bash3Violations(line)).toHaveLength(1)
})

test.each([
  'run ${options[@]+"${options[@]}"}',
  "sed -n 's/a/b/p' file",
  'local -r name=1',
  '# mapfile is missing in bash 3.2',
  'ssh "${ssh_options[@]}"',
  'read -r -s password',
])('accepts %s', line => {
  expect(bash3Violations(line)).toEqual([])
})
