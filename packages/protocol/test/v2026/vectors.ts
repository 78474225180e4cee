/** Reads the vectors of dialect v2026, which were made by running the packages of 2026. */
import { readFileSync } from 'node:fs'
import { plainOf } from '../../src/json/plain.ts'
import { readJson } from '../../src/json/read-json.ts'
import * as facilitatorValidator from '../../src/v2026/facilitator-validator.ts'
import { frameOf, type Parser } from '../../src/v2026/frame.ts'
import * as minerExecutor from '../../src/v2026/miner-executor.ts'
import * as validatorMiner from '../../src/v2026/validator-miner.ts'

export function readVectors<T>(name: string): T {
  return JSON.parse(readText(name)) as T
}

export function readText(name: string): string {
  return readFileSync(new URL(`../fixtures/v2026/${name}`, import.meta.url), 'utf8')
}

/** The parsers by link and by speaker, as the vectors name them. */
export const PARSERS: Record<number, Record<string, Parser<object>>> = {
  1: { V: validatorMiner.parseFromValidator, M: validatorMiner.parseFromMiner },
  2: { M: minerExecutor.parseFromMiner, E: minerExecutor.parseFromExecutor },
  3: { F: facilitatorValidator.parseFromFacilitator, V: facilitatorValidator.parseFromValidator },
}

/** Returns JSON as plain values. Numbers beyond 2^53 keep their digits. */
export function plain(json: string): unknown {
  return plainOf(readJson(json))
}

/** Returns what a message says once it is sent on: bigints compare as the digits that are written. */
export function sentOn(message: object): unknown {
  return plain(frameOf(message))
}
