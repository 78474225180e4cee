/**
 * The install scripts at the top of the checkout. Each is one file, so that it can come through a pipe; all are printed
 * from the parts in docker/install: `node packages/deploy/src/print-install-scripts.ts`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const CHECKOUT = join(import.meta.dirname, '../../..')

/** The roles that have an install script: the next one is one more entry. */
export const INSTALLED_ROLES = ['validator', 'miner'] as const
export type InstalledRole = (typeof INSTALLED_ROLES)[number]

const OWNER_PARTS = ['head', 'words', 'arguments', 'wallet', 'source', 'connection', 'main']
const SERVER_PARTS = ['apt', 'docker', 'nvidia', 'checks', 'files', 'steps']

export function installScriptPath(role: InstalledRole): string {
  return join(CHECKOUT, `install_${role}.sh`)
}

export function installScript(role: InstalledRole): string {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  const server = SERVER_PARTS.map(part => read(`docker/install/server/${part}.sh`)).join('\n')
  return [
    '#!/usr/bin/env bash',
    `# Installs a Compute Horde ${role} on a server: install_${role}.sh --help`,
    '#',
    '# Printed from the parts in docker/install by `node packages/deploy/src/print-install-scripts.ts`: change those.',
    '# What runs on the server is at the end, in print_server_command and print_server_steps. Runs on bash 3.2.',
    '',
    `ROLE=${role}`,
    `SCRIPT=install_${role}.sh`,
    `VERSION=${version}`,
    ...OWNER_PARTS.map(part => read(`docker/install/owner/${part}.sh`)),
    embedded('print_server_command', read('docker/install/server/compute-horde')),
    embedded('print_server_steps', server),
    embedded('print_compose_file', read(`docker/compose.${role}.yml`)),
    embedded('print_env_example', read(`docker/${role}.env.example`)),
    '# The last line: a script that was cut short does nothing. Nothing in it reads stdin, which may be the script.',
    'main "$@" </dev/null',
    '',
  ].join('\n')
}

/** A shell function that prints a text. */
function embedded(name: string, text: string): string {
  const end = `END_OF_${name.toUpperCase()}`
  if (text.includes(end)) throw new Error(`${name} would end early: the text holds ${end}`)
  return `${name}() {\n  cat <<'${end}'\n${text.endsWith('\n') ? text : `${text}\n`}${end}\n}\n`
}

function read(path: string): string {
  return readFileSync(join(CHECKOUT, path), 'utf8')
}
