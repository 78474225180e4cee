/** How what an executor makes in a container engine is told from all else: its miner must find that too. */

/** The label that everything an executor makes carries; its value names the executor. */
export const EXECUTOR_LABEL = 'compute-horde.executor'

/** The value of that label for an executor that lives in a container. */
export function containerIdentity(containerId: string): string {
  return `container/${containerId}`
}
