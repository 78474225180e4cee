/** Checks what a local horde needs of this machine before anything starts. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ASK_WITHIN_MS = 20_000
const BUILD_WITHIN_MS = 300_000
const BUILD_IMAGES = fileURLToPath(new URL('../../../docker/build-images.sh', import.meta.url))

export class RequirementError extends Error {
  override name = 'RequirementError'
}

/** @throws RequirementError that names what is missing, and the command that installs it */
export async function checkRequirements(images: readonly string[]): Promise<void> {
  await docker(['version', '--format', '{{.Server.Version}}'], 'No Docker engine answers')
  for (const image of images)
    await docker(['image', 'inspect', '--format', '{{.Id}}', image], `The image ${image} is missing`)
}

/** Builds the executor's image if it is missing or was built from other sources. */
export async function buildExecutorImage(): Promise<void> {
  try {
    await run(BUILD_IMAGES, ['--auto', 'executor'], { timeout: BUILD_WITHIN_MS })
  } catch (cause) {
    const { stderr = '' } = cause as { stderr?: string }
    throw new RequirementError(`The executor's image could not be built. Run bin/setup.\n${stderr}`, { cause })
  }
}

async function docker(args: string[], failure: string): Promise<string> {
  try {
    const { stdout } = await run('docker', args, { timeout: ASK_WITHIN_MS })
    return stdout.trim()
  } catch (cause) {
    throw new RequirementError(`${failure}. Run bin/setup first.`, { cause })
  }
}
