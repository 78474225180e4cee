/** Labels on containers and volumes that executors make. Executors and their miner find these things by them. */

/** The label on everything that an executor makes. Its value identifies the executor. */
export const EXECUTOR_LABEL = 'compute-horde.executor'

/** Returns the label's value for an executor that runs in a container. */
export function containerIdentity(containerId: string): string {
  return `container/${containerId}`
}
