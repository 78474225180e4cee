/**
 * Makes the install scripts at the top of the checkout from their parts in docker/install. Each script is one file, so
 * that a pipe can deliver it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const CHECKOUT = join(import.meta.dirname, '../../..')

/** The roles that have an install script. */
export const INSTALLED_ROLES = ['validator', 'miner'] as const
export type InstalledRole = (typeof INSTALLED_ROLES)[number]

/** The parts that run on the owner's machine, and those that run on the server, in the order of the script. */
const OWNER_PARTS = ['head', 'words', 'arguments', 'wallet', 'source', 'connection', 'main']
const SERVER_PARTS = ['apt', 'docker', 'nvidia', 'checks', 'files', 'steps']

/** Returns the path of a role's install script. */
export function installScriptPath(role: InstalledRole): string {
  return join(CHECKOUT, `install_${role}.sh`)
}

/** Returns the text of a role's install script. */
export function installScript(role: InstalledRole): string {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  const server = SERVER_PARTS.map(part => read(`docker/install/server/${part}.sh`)).join('\n')
  return [
    '#!/usr/bin/env bash',
    `# Installs a Compute Horde ${role} on a server: install_${role}.sh --help`,
    '#',
    '# Made from the parts in docker/install by `node packages/deploy/src/print-install-scripts.ts`: change the parts.',
    '# Needs bash 3.2. The code for the server is at the end, in print_server_command and print_server_steps.',
    '',
    `ROLE=${role}`,
    `SCRIPT=install_${role}.sh`,
    `VERSION=${version}`,
    ...OWNER_PARTS.map(part => read(`docker/install/owner/${part}.sh`)),
    printFunction('print_server_command', read('docker/install/server/compute-horde')),
    printFunction('print_server_steps', server),
    printFunction('print_compose_file', read(`docker/compose.${role}.yml`)),
    printFunction('print_env_example', read(`docker/${role}.env.example`)),
    '# The last line, so that a script that was cut short does nothing. stdin may be the script: nothing may read it.',
    'main "$@" </dev/null',
    '',
  ].join('\n')
}

/** Returns a shell function that prints a text; throws if the text contains the line that ends it. */
function printFunction(name: string, text: string): string {
  const end = `END_OF_${name.toUpperCase()}`
  if (text.includes(end)) throw new Error(`${name} would end early: the text contains ${end}`)
  return `${name}() {\n  cat <<'${end}'\n${text.endsWith('\n') ? text : `${text}\n`}${end}\n}\n`
}

function read(path: string): string {
  return readFileSync(join(CHECKOUT, path), 'utf8')
}
