/**
 * The image of the holder: the container that keeps a job's volumes mounted from preparation to clean-up. A volume in
 * memory loses its files when no container mounts it, and the job ends before its results are read.
 */
import type { Readable } from 'node:stream'
import type { ContainerOptions } from '@horde/engine/containers'
import type { Engine } from '@horde/engine/engine'
import { pack } from 'tar-stream'
import { CheckError } from '../host/check-error.ts'

/** The executor builds this image itself, without a registry, when the engine does not have it. */
export const HOLDER_IMAGE = 'compute-horde/holder:v1'
const PROGRAM = '/hold'

/** Of the holder, in bytes. Its program needs less; runc needs this much to start it. */
const MEMORY_BYTES = 16 * 1024 * 1024
const PIDS = 16
const NOBODY = '65534:65534'

/** ELF's numbers of the machines, and code that loops around one system call that waits for ever. */
const MACHINES: Record<string, { elf: number; code: readonly number[] }> = {
  // mov eax, 34 (pause); syscall; jmp to the start
  x86_64: { elf: 62, code: [0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7] },
  // mov x0…x4, 0; mov x8, 73 (ppoll); svc 0; b to the start
  aarch64: {
    elf: 183,
    code: [
      ...[0, 1, 2, 3, 4].flatMap(register => [register, 0x00, 0x80, 0xd2]),
      ...[0x28, 0x09, 0x80, 0xd2],
      ...[0x01, 0x00, 0x00, 0xd4],
      ...[0xf9, 0xff, 0xff, 0x17],
    ],
  },
}

const HEADER_BYTES = 64
const PROGRAM_HEADER_BYTES = 56
const LOAD_ADDRESS = 0x400000n
const PAGE_BYTES = 4096n

/**
 * Returns a static program for Linux that waits until it is killed: an ELF header, one program header, the code (System
 * V ABI, ELF-64).
 *
 * @param machine as the engine's /info names it: x86_64 or aarch64
 * @throws CheckError for any other
 */
export function holderProgram(machine: string): Buffer {
  const { elf, code } = MACHINES[machine] ?? {}
  if (elf === undefined || code === undefined) {
    throw new CheckError(`the engine's machine is ${machine}; the executor knows x86_64 and aarch64`)
  }
  const program = Buffer.alloc(HEADER_BYTES + PROGRAM_HEADER_BYTES + code.length)
  const entry = LOAD_ADDRESS + BigInt(HEADER_BYTES + PROGRAM_HEADER_BYTES)
  program.write('\x7fELF', 'latin1')
  program.set([2, 1, 1], 4) // 64 bits, little-endian, version 1
  program.writeUInt16LE(2, 16) // executable
  program.writeUInt16LE(elf, 18)
  program.writeUInt32LE(1, 20)
  program.writeBigUInt64LE(entry, 24)
  program.writeBigUInt64LE(BigInt(HEADER_BYTES), 32)
  program.writeUInt16LE(HEADER_BYTES, 52)
  program.writeUInt16LE(PROGRAM_HEADER_BYTES, 54)
  program.writeUInt16LE(1, 56)
  program.writeUInt32LE(1, HEADER_BYTES) // to be loaded
  program.writeUInt32LE(5, HEADER_BYTES + 4) // readable, executable
  program.writeBigUInt64LE(LOAD_ADDRESS, HEADER_BYTES + 16)
  program.writeBigUInt64LE(LOAD_ADDRESS, HEADER_BYTES + 24)
  program.writeBigUInt64LE(BigInt(program.length), HEADER_BYTES + 32)
  program.writeBigUInt64LE(BigInt(program.length), HEADER_BYTES + 40)
  program.writeBigUInt64LE(PAGE_BYTES, HEADER_BYTES + 48)
  program.set(code, HEADER_BYTES + PROGRAM_HEADER_BYTES)
  return program
}

/** Creates the holder's image in the engine. Doing so twice does no harm. */
export async function importHolderImage(engine: Engine, machine: string): Promise<void> {
  const tar = pack()
  tar.entry({ name: PROGRAM.slice(1), mode: 0o755 }, holderProgram(machine))
  tar.finalize()
  await engine.images.import(tar as unknown as Readable, HOLDER_IMAGE)
}

/** Returns a tar that gives the holder's /output another mode, and changes nothing else. */
export function outputWithMode(mode: number): Readable {
  const tar = pack()
  tar.entry({ name: 'output/', type: 'directory', mode })
  tar.finalize()
  return tar as unknown as Readable
}

/**
 * Returns the options of a container that does nothing, with the volumes mounted.
 *
 * @param ownNetwork whether it gets a network namespace: an engine with user namespaces insists on one, and elsewhere
 * creating it would take a third of the holder's start
 */
export function holderOptions(
  mounts: readonly { volume: string; path: string }[],
  labels: Record<string, string>,
  ownNetwork: boolean,
): ContainerOptions {
  return {
    Image: HOLDER_IMAGE,
    Entrypoint: [PROGRAM],
    User: NOBODY,
    Labels: labels,
    // PID 1 ignores the other signals: an engine that stops would wait ten seconds for it.
    StopSignal: 'SIGKILL',
    HostConfig: {
      NetworkMode: ownNetwork ? 'none' : 'host',
      IpcMode: 'none',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
      Memory: MEMORY_BYTES,
      MemorySwap: MEMORY_BYTES,
      PidsLimit: PIDS,
      // The engine unpacks only into a container whose root is writable; the program writes nothing.
      Mounts: mounts.map(({ volume, path }) => {
        return { Type: 'volume' as const, Source: volume, Target: path, ReadOnly: false, VolumeOptions: { ...NO_COPY } }
      }),
    },
  }
}

/** Hides the image's files under a mount point. */
export const NO_COPY = { NoCopy: true, Labels: {}, DriverConfig: { Name: '', Options: {} } }
