/** An executor manager of the operator's own, from a module named by path. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Log } from '@horde/kit/log'
import type { ExecutorManager } from './manager.ts'

/** What the module exports under the name `createExecutorManager`. */
export type CreateExecutorManager = (context: { log: Log }) => ExecutorManager | Promise<ExecutorManager>

export class ManagerModuleError extends Error {
  override name = 'ManagerModuleError'
}

/**
 * Loads the module and has it make its manager.
 * @throws ManagerModuleError naming the file and what is missing in it
 */
export async function loadManager(path: string, context: { log: Log }): Promise<ExecutorManager> {
  const file = resolve(path)
  const exported = await importModule(file)
  const create = exported.createExecutorManager
  if (typeof create !== 'function') {
    throw new ManagerModuleError(`${file} does not export a function createExecutorManager`)
  }
  const manager: unknown = await (create as CreateExecutorManager)(context)
  if (!isManager(manager)) {
    throw new ManagerModuleError(`createExecutorManager of ${file} returned nothing with a start function`)
  }
  return manager
}

async function importModule(file: string): Promise<{ createExecutorManager?: unknown }> {
  try {
    return (await import(pathToFileURL(file).href)) as { createExecutorManager?: unknown }
  } catch (cause) {
    throw new ManagerModuleError(`${file} can not be loaded: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}

function isManager(value: unknown): value is ExecutorManager {
  return typeof value === 'object' && value !== null && 'start' in value && typeof value.start === 'function'
}
