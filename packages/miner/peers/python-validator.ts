/** The published validator client of 2026 (compute-horde on PyPI), unmodified, and a miner for it. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { minerKey } from '@horde/testing/peers/validator'
import { PROGRAM_ENVIRONMENT } from '@horde/testing/runs/program-environment'
import { processManager } from '../src/horde/process/process-manager.ts'
import { startChain, startTestMiner, type TestMiner } from '../test/harness.ts'

const PYTHON = fileURLToPath(new URL('../../../.venvs/compute-horde/bin/python', import.meta.url))
const SCRIPT = fileURLToPath(new URL('python-validator.py', import.meta.url))
const IMAGE = 'compute-horde/python:3.11'
export const TIMING = {
  allowed_leeway: 10,
  download_time_limit: 30,
  execution_time_limit: 30,
  upload_time_limit: 30,
  streaming_start_time_limit: 0,
}

export type Job = Record<string, unknown>
export type End = Record<string, unknown> & { end: string }

/** Starts a miner whose executors are processes that run jobs in real containers. */
export async function startMinerForPython(executors: number): Promise<TestMiner> {
  await using stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const environment = { ...PROGRAM_ENVIRONMENT, ALLOW_PRIVATE_TARGETS: 'true', PYTHON_IMAGE: IMAGE }
  const owner = `test-${randomUUID()}`
  const manager = processManager({ owner, environment, stopWithinMs: 10_000, clock: systemClock })
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: String(executors) }
  const miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env, log: silentLog }))
  const opened = stack.move()
  return { ...miner, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

export interface PythonValidator extends AsyncDisposable {
  /** Gives jobs at once to the miner behind this port, and returns how each ended. One call at a time. */
  give(port: number, ...jobs: Job[]): Promise<End[]>
}

export function startPythonValidator(): PythonValidator {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing: run bin/setup --sdks`)
  const child = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async give(port, ...jobs) {
      const miner = { hotkey: minerKey().ss58, address: '127.0.0.1', port }
      child.stdin.write(`${JSON.stringify({ miner, validator: '//validator', jobs })}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error(`the Python validator has ended with ${await closed}`)
      return JSON.parse(value)
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await closed
    },
  }
}

/** A job that runs a Python program in an image with Python. */
export function program(code: string, fields: Job = {}): Job {
  return {
    ...{ job_uuid: randomUUID(), executor_class: 'always_on.test', docker_image: IMAGE },
    ...{ docker_run_options_preset: 'none', docker_run_cmd: ['python', '-c', code], job_timing: TIMING, ...fields },
  }
}
