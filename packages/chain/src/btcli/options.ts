export type Options = Readonly<Record<string, string | number>>

/** Options as they stand on a command line. */
export function options(values: Options): string {
  return Object.entries(values)
    .map(([name, value]) => `--${name} ${shellWord(String(value))}`)
    .join(' ')
}

function shellWord(text: string): string {
  return /^[\w./~:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
