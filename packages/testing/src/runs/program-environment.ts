/**
 * The part of this process's environment that tests pass to the programs they start: PATH, and Node's compile cache,
 * which halves the time that a service takes to start.
 */
export const PROGRAM_ENVIRONMENT: Readonly<Record<string, string>> = given(['PATH', 'NODE_COMPILE_CACHE'])

function given(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))
}
