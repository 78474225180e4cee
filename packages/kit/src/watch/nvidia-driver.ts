import { bad, type Finding } from './finding.ts'

/** What NVIDIA's programs say after an update of the driver: the old one stays in the kernel until the next boot. */
const MISMATCH = /driver\/library version mismatch/i

/** The finding for NVIDIA's words when they mean that the machine must be rebooted. They have no code that all programs pass on. */
export function driverMismatch(said: string): Finding | undefined {
  if (!MISMATCH.test(said)) return undefined
  return bad(
    'gpus',
    'the NVIDIA driver in the kernel and its libraries are of different versions',
    'reboot this machine: the driver was updated',
  )
}
