/** Runs a probe as a process of this machine. */
import { execFile } from 'node:child_process'
import { PROBE_MS, type Probe, type ProbeResult, ProbeTimeoutError } from '../probe.ts'

/** It sees all GPUs of the machine. */
export function probeInProcess(
  { command }: Probe,
  environment: Readonly<Record<string, string>>,
): Promise<ProbeResult> {
  const [program = '', ...args] = command
  const options = { env: { ...environment }, timeout: PROBE_MS, killSignal: 'SIGKILL' } as const
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const output = `${stdout}\n${stderr}`
      if (error === null) resolve({ exitCode: 0, output: stdout })
      else if (error.code === 'ENOENT') resolve({ missing: true })
      else if (typeof error.code === 'number') resolve({ exitCode: error.code, output })
      else if (error.killed) reject(new ProbeTimeoutError(`${program}: not done within ${PROBE_MS} ms`))
      else reject(error)
    })
  })
}
