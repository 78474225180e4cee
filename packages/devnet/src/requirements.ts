/** What a local horde needs of its machine, checked before anything is started. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ASK_WITHIN_MS = 20_000

export class RequirementError extends Error {
  override name = 'RequirementError'
}

/** @throws RequirementError that says what is missing, and what brings it */
export async function checkRequirements(images: readonly string[]): Promise<void> {
  await docker(['version', '--format', '{{.Server.Version}}'], 'No Docker engine answers')
  for (const image of images)
    await docker(['image', 'inspect', '--format', '{{.Id}}', image], `The image ${image} is missing`)
}

async function docker(args: string[], failure: string): Promise<string> {
  try {
    const { stdout } = await run('docker', args, { timeout: ASK_WITHIN_MS })
    return stdout.trim()
  } catch (cause) {
    throw new RequirementError(`${failure}. Run bin/setup first.`, { cause })
  }
}
