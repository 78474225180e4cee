// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the names and samples are shell code
/**
 * What scripts for macOS must not use: features that its bash 3.2 lacks, and options of GNU tools that its own tools
 * lack or treat differently. Most machines cannot run bash 3.2, so tests search the scripts for these patterns.
 */
const FORBIDDEN: readonly [what: string, pattern: RegExp][] = [
  ['associative arrays', /\b(?:declare|local|typeset)\s+-[a-zA-Z]*A/],
  ['namerefs', /\b(?:declare|local|typeset)\s+-[a-zA-Z]*n\b/],
  ['mapfile and readarray', /\b(?:mapfile|readarray)\b/],
  ['case conversion in ${x,,} and ${x^^}', /\$\{[A-Za-z_]\w*(?:\[[^\]]*\])?(?:,,?|\^\^?)/],
  ['${x@Q}', /\$\{[A-Za-z_]\w*(?:\[[^\]]*\])?@[A-Za-z]\}/],
  ['negative array indexes', /\$\{[A-Za-z_]\w*\[-\d/],
  ['an array that may be empty under set -u', /(?<!\+)"\$\{(?!ssh_options\b)[A-Za-z_]\w*\[@\]\}"/],
  ['|& and &>>', /\|&|&>>/],
  ['coproc', /\bcoproc\b/],
  ['printf %(…)T', /%\([^)]*\)T/],
  ['[[ -v x ]]', /\[\[?\s+-v\s/],
  ['wait -n', /\bwait\s+-n\b/],
  ['EPOCHSECONDS and the like', /\$\{?(?:EPOCHSECONDS|EPOCHREALTIME|SRANDOM|BASHPID)\b/],
  ['automatic file descriptors', /\bexec\s+\{\w+\}[<>]/],
  ['a fallthrough in case', /;;&|;&/],
  ['a case inside $(…)', /\$\([^)]*\bcase\s/],
  ['local -', /\blocal\s+-(?:\s|$)/],
  ['read -i, -N', /\bread\s+(?:-\w+\s+)*-\w*[iN]/],
  ['readlink -f and realpath', /\breadlink\s+-\w*[fem]|\brealpath\b/],
  ['GNU sed -i', /\bsed\s+(?:-\w+\s+)*-\w*i/],
  ['GNU sed -r and \\+', /\bsed\s+-\w*r|\bsed\b[^|]*\\\+/],
  ['GNU long options', /\b(?:sed|grep|head|tail|wc|mktemp|cut|tr|date|stat|tar)\s+--\w+/],
  ['GNU date -d', /\bdate\s+(?:-u\s+)?-d\b/],
  ['GNU stat -c', /\bstat\s+-c\b/],
  ['grep -P', /\bgrep\s+-\w*P/],
  ['timeout, flock, setsid', /(?:^|[;&|(]\s*)(?:timeout|flock|setsid)\s/],
  ['base64 -w', /\bbase64\s+-w/],
]

/** Returns what a script uses that macOS lacks, as `line NUMBER: WHAT`. Ignores comments. */
export function bash3Violations(script: string): string[] {
  return script
    .split('\n')
    .flatMap((line, index) =>
      /^\s*#/.test(line)
        ? []
        : FORBIDDEN.filter(([, pattern]) => pattern.test(line)).map(([what]) => `line ${index + 1}: ${what}`),
    )
}
