/** Writes the install scripts to their files at the top of the checkout. */
import { chmodSync, writeFileSync } from 'node:fs'
import { INSTALLED_ROLES, installScript, installScriptPath } from './install-script.ts'

for (const role of INSTALLED_ROLES) {
  writeFileSync(installScriptPath(role), installScript(role))
  chmodSync(installScriptPath(role), 0o755)
}
