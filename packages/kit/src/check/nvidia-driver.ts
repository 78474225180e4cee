import { bad, type Finding } from './finding.ts'

/** What NVIDIA's tools print after a driver update: the kernel keeps the old driver until the next boot. */
const MISMATCH = /driver\/library version mismatch/i

/**
 * Returns a finding when the output of one of NVIDIA's tools means that the machine must be rebooted. It matches the
 * text, because the tools have no exit code for this that engines pass on.
 */
export function driverMismatch(output: string): Finding | undefined {
  if (!MISMATCH.test(output)) return undefined
  return bad(
    'gpus',
    'the NVIDIA driver in the kernel and its libraries are of different versions',
    'reboot this machine: the driver was updated',
  )
}
