/** An engine with NVIDIA's toolkit and no GPU, whatever the machine of the test has. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PrivateEngine } from '@horde/testing/private-engine'

/** What the toolkit's hook says where the driver is missing. */
const HOOK = "#!/bin/sh\necho 'nvidia-container-cli: initialization error: nvml error: driver not loaded' >&2\nexit 1\n"

/** @param image that it is to have */
export async function startGpulessEngine(image: string): Promise<{ socket: string } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const programs = await mkdtemp(join(tmpdir(), 'gpuless-'))
  stack.defer(() => rm(programs, { recursive: true }))
  const hook = join(programs, 'nvidia-container-runtime-hook')
  await writeFile(hook, HOOK)
  await chmod(hook, 0o755)
  const engine = stack.use(await PrivateEngine.start({ programs }))
  await engine.load(image)
  const opened = stack.move()
  return { socket: engine.socket, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
