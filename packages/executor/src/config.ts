/** The executor's settings: the one place that knows their names. */

import { isImageName } from '@horde/engine/images/image-name'
import {
  defineSettings,
  envBoolean,
  envInteger,
  envList,
  envNumber,
  envUrl,
  type SettingsOf,
  setting,
} from '@horde/kit/config'
import { MAX_TOKEN_CHARACTERS } from '@horde/protocol/executor-address'
import { z } from 'zod'
import { parseHealthAddress } from './health-address.ts'
import { registryAuths } from './images/registry-credentials.ts'

const MIB = 1024 * 1024
const seconds = envInteger({ min: 1, max: 86_400 })
const bytes = envInteger({ min: 1 })

const token = z
  .string()
  .regex(/^[\w-]+$/, 'must be letters, digits and dashes')
  .max(MAX_TOKEN_CHARACTERS, `must be at most ${MAX_TOKEN_CHARACTERS} characters`)

const minerAddress = envUrl.refine(url => /^wss?:\/\//i.test(url), 'must begin with ws:// or wss://')

const gpuDevices = z
  .string()
  .refine(text => /^[\w:.-]+(\s*,\s*[\w:.-]+)*$/.test(text), 'must be all, none, or device ids separated by commas')
  .transform(text => text.replaceAll(' ', ''))

const image = z.string().refine(isImageName, 'must be the name of an image')

const images = envList.refine(list => list.every(isImageName), 'must be names of images, separated by commas')

const aliases = envList.refine(
  list => list.every(pair => /^[^=]+=[^=]+$/.test(pair) && pair.split('=').every(isImageName)),
  'must be pairs of image names, wanted=used, separated by commas',
)

const absolutePath = z.string().regex(/^\//, 'must be an absolute path')

const healthAddress = z.string().transform((text, context) => {
  const address = parseHealthAddress(text)
  if (address) return address
  const message = 'must be 127.0.0.1:port, [::1]:port or unix:/path, as these pages ask nobody who they are'
  context.addIssue({ code: 'custom', message })
  return z.NEVER
})

export const settings = defineSettings({
  MINER_ADDRESS: setting(minerAddress, {
    about: 'Where the miner listens for executors.',
    example: 'ws://10.0.0.5:8000',
  }),
  EXECUTOR_TOKEN: setting(token, {
    about: 'The credential of this one executor, made by its miner.',
    example: '7f9d2b34-0d0e-4d0c-9d55-1f6f6b0ff7a1-0c6d7e1e-3f0f-4b7e-8f0e-0c8a5a7f1b22',
    secret: true,
  }),
  LOG_LEVEL: setting(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'), {
    about: 'The least level of the log lines that are written.',
    example: 'debug',
  }),
  PREPARE_AHEAD: setting(envBoolean.default(false), {
    about:
      'Whether a job is prepared, as far as that goes, before it is offered. Its miner says so to an executor that it keeps for a job to come.',
    example: 'true',
  }),
  EXECUTOR_GPU_DEVICE_IDS: setting(gpuDevices.optional(), {
    about:
      "This executor's NVIDIA GPUs: all, none, or ids separated by commas. Unset: all where the engine tells of an NVIDIA runtime, else none.",
    example: '0,1',
  }),
  PYTHON_IMAGE: setting(image.default('python:3.11-slim'), {
    about: 'The image that raw scripts run in.',
    example: 'compute-horde/python:3.11',
  }),
  PYTHON_NVIDIA_IMAGE: setting(image.default('python:3.11-slim'), {
    about: 'The image that raw scripts with the preset nvidia_all run in.',
    example: 'pytorch/pytorch:2.4.1-cuda12.4-cudnn9-runtime',
  }),
  IMAGE_ALIASES: setting(aliases.default([]), {
    about: 'Images to use in place of the ones that jobs name, as wanted=used, separated by commas.',
    example: 'python:3.11-slim=compute-horde/python:3.11',
  }),
  IMAGE_PULL_POLICY: setting(z.enum(['missing', 'latest', 'always', 'never']).default('latest'), {
    about:
      'When a registry is asked for an image: when it is missing; also for a newer one of latest or *-latest; always; never. Where that fails, the image on this host is used.',
    example: 'missing',
  }),
  PULL_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about: 'How long pulling an image may take, in seconds.',
    example: '600',
  }),
  REFRESH_TIMEOUT_SECONDS: setting(seconds.default(30), {
    about:
      'How long a registry may take to begin sending something newer than the image on this host, in seconds; from then on PULL_TIMEOUT_SECONDS counts.',
    example: '10',
  }),
  DOCKER_AUTH_CONFIG: setting(registryAuths.optional(), {
    about: "Credentials for private registries: the JSON of Docker's config.json, with an auth for each registry.",
    example: '{"auths":{"registry.example.com:5000":{"auth":"dXNlcjpwYXNzd29yZA=="}}}',
    secret: true,
  }),
  REQUIRE_IMAGE_DIGEST: setting(envBoolean.default(false), {
    about: 'Whether jobs whose image, after the aliases, is not named by its digest are refused.',
    example: 'true',
  }),
  PRELOAD_IMAGES: setting(images.default([]), {
    about: 'Images that the command preload gets, and that are never removed, separated by commas.',
    example: 'python:3.11-slim,registry.example.com/tool:1',
  }),
  PINNED_IMAGES: setting(images.default([]), {
    about:
      'Further images that are never removed, separated by commas. The Python images and the targets of aliases are not either.',
    example: 'registry.example.com/model:2',
  }),
  IMAGE_DISK_THRESHOLD_PERCENT: setting(envInteger({ min: 1, max: 100 }).default(80), {
    about:
      "How full the engine's disk may be, in percent; above it the images that executors pulled are removed, the least recently used first.",
    example: '90',
  }),
  OFFER_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about:
      'How long a connected executor waits for the offer of its job before it leaves, in seconds. One that prepares ahead waits for as long as it takes.',
    example: '60',
  }),
  WORK_TIMEOUT_SECONDS: setting(seconds.default(900), {
    about: 'How long a ready executor waits for the work itself before it gives the job up.',
    example: '600',
  }),
  DEFAULT_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about: 'The time limit of a job that was offered without one.',
    example: '600',
  }),
  INPUT_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about: "How long fetching and unpacking a job's input may take.",
    example: '60',
  }),
  UPLOAD_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about: "How long zipping and uploading a job's output may take.",
    example: '60',
  }),
  VOLUME_MAX_SIZE_BYTES: setting(bytes.default(100 * MIB), {
    about: 'The largest input, as it comes and unpacked.',
    example: '1073741824',
  }),
  VOLUME_MAX_FILES: setting(envInteger({ min: 1 }).default(10_000), {
    about: 'The most files and folders in an input.',
    example: '1000',
  }),
  OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES: setting(bytes.default(300 * MIB), {
    about: 'The largest zip of outputs that is uploaded.',
    example: '1073741824',
  }),
  OUTPUT_MAX_SIZE_BYTES: setting(bytes.default(1024 * MIB), {
    about: 'The most that /output may hold. It lies in memory, and counts as such.',
    example: '4294967296',
  }),
  OUTPUT_MAX_FILES: setting(envInteger({ min: 1 }).default(1_000), {
    about: 'The most output files.',
    example: '100',
  }),
  // What is told on the wire is cut from the whole texts, which Node holds as strings of at most half a gigabyte.
  MAX_OUTPUT_BYTES: setting(envInteger({ min: 1, max: 256 * MIB }).default(64 * MIB), {
    about: 'The most that a job may print, stdout and stderr together; past it the job is killed.',
    example: '10485760',
  }),
  ALLOW_PRIVATE_TARGETS: setting(envBoolean.default(false), {
    about: 'Whether input and output URLs may point into private networks, this machine included. For local use only.',
    example: 'true',
  }),
  MEMORY_LIMIT_BYTES: setting(envInteger({ min: 64 * MIB }).optional(), {
    about:
      "A job's memory, with all that it writes to /output, /tmp, /dev/shm and its home. Unset: three quarters of the host's.",
    example: '8589934592',
  }),
  CPU_LIMIT: setting(envNumber({ min: 0.1 }).optional(), {
    about: "How many CPUs a job may use. Unset: all of the host's.",
    example: '4',
  }),
  PIDS_LIMIT: setting(envInteger({ min: 4 }).default(1_024), {
    about: 'How many processes and threads a job may have at once.',
    example: '256',
  }),
  OPEN_FILES_LIMIT: setting(envInteger({ min: 64 }).default(16_384), {
    about: 'How many files each process of a job may have open.',
    example: '1024',
  }),
  TMP_SIZE_BYTES: setting(envInteger({ min: MIB }).default(1024 * MIB), {
    about: 'The size of /tmp, of the home, and of all folders together for which the image has volumes, in memory.',
    example: '4294967296',
  }),
  SHM_SIZE_BYTES: setting(envInteger({ min: MIB }).default(256 * MIB), {
    about: 'The size of /dev/shm, in memory.',
    example: '1073741824',
  }),
  FOLDER_MAX_FILES: setting(envInteger({ min: 64 }).default(100_000), {
    about:
      'How many files and folders each folder that a job may write to can hold: /output, /tmp, /dev/shm, its home.',
    example: '1000000',
  }),
  WRITABLE_ROOT: setting(envBoolean.default(false), {
    about:
      "Whether jobs may write to their image's own folders. The weaker mode: what they write there lies on the engine's disk, is measured now and then, and only its size.",
    example: 'true',
  }),
  ROOT_MAX_SIZE_BYTES: setting(envInteger({ min: MIB }).default(4096 * MIB), {
    about: "How much a job may write to its image's own folders, where it may; past it the job is killed.",
    example: '21474836480',
  }),
  ROOT_WATCH_SECONDS: setting(envNumber({ min: 0.1, max: 3_600 }).default(2), {
    about: "How often what a job wrote to its image's own folders is measured, where it may.",
    example: '10',
  }),
  WRITABLE_VOLUME: setting(envBoolean.default(false), {
    about: 'Whether jobs may write to /volume, for old images that insist on it. Their input then takes memory.',
    example: 'true',
  }),
  RUNTIME: setting(z.string().optional(), {
    about: "The engine's runtime that job containers run in. Unset: the engine's default.",
    example: 'runsc',
  }),
  KNOWN_ESCAPES: setting(z.enum(['refuse', 'warn']).default('refuse'), {
    about:
      'What to do about a flaw of this host by which jobs could certainly get out of their container: refuse every job, or only warn.',
    example: 'warn',
  }),
  HOST_CHECK_MAX_AGE_SECONDS: setting(envInteger({ min: 0, max: 86_400 }).default(3_600), {
    about: 'How long a host that was found to be good is not looked at again, in seconds.',
    example: '600',
  }),
  ENGINE_CALL_SECONDS: setting(envInteger({ min: 1, max: 600 }).default(60), {
    about: 'How long the container engine may take to answer a call that waits for nothing else, in seconds.',
    example: '120',
  }),
  STATE_FOLDER: setting(absolutePath.optional(), {
    about:
      'The folder in which the executors of this host remember what they found out. Unset: .local/state/compute-horde in the home folder.',
    example: '/var/lib/compute-horde',
  }),
  HEALTH_ADDRESS: setting(healthAddress.optional(), {
    about:
      'Where /health and /metrics are served, on this machine alone: 127.0.0.1:port, [::1]:port or unix:/path. Unset: nowhere.',
    example: 'unix:/run/compute-horde/executor.sock',
  }),
  RECONNECT_ATTEMPTS: setting(envInteger({ min: 1, max: 100 }).default(6), {
    about: 'How many connections to the miner in a row may fail before the executor gives up.',
    example: '3',
  }),
  RECONNECT_DELAY_SECONDS: setting(envNumber({ min: 0.01, max: 60 }).default(2), {
    about: 'The delay before the miner is dialled again; it doubles up to 16 times itself.',
    example: '1',
  }),
})

export type ExecutorSettings = SettingsOf<typeof settings>

const { MINER_ADDRESS: _, EXECUTOR_TOKEN: __, PREPARE_AHEAD: ___, ...ofHost } = settings
/** What an operator's commands need: all but what a miner gives to each executor. */
export const hostSettings = defineSettings(ofHost)

export type HostSettings = SettingsOf<typeof hostSettings>
