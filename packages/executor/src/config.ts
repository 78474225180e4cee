/** The executor's settings. */
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
import { MAX_TOKEN_CHARACTERS } from '@horde/protocol/executor/address'
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

const hubUrl = envUrl
  .refine(url => /^https?:\/\//i.test(url), 'must begin with http:// or https://')
  .refine(url => !/[?#]/.test(url), 'must have no query')
  .transform(url => url.replace(/\/+$/, ''))

const hubToken = z.string().regex(/^[\x21-\x7e]+$/, 'must be letters, digits and signs without spaces')

const healthAddress = z.string().transform((text, context) => {
  const address = parseHealthAddress(text)
  if (address) return address
  const message = 'must be 127.0.0.1:port, [::1]:port or unix:/path, because these pages have no authentication'
  context.addIssue({ code: 'custom', message })
  return z.NEVER
})

export const settings = defineSettings({
  MINER_ADDRESS: setting(minerAddress, {
    about: 'Where the miner listens for executors.',
    example: 'ws://10.0.0.5:8000',
  }),
  EXECUTOR_TOKEN: setting(token, {
    about: 'The credential of this executor, made by its miner.',
    example: '7f9d2b34-0d0e-4d0c-9d55-1f6f6b0ff7a1-0c6d7e1e-3f0f-4b7e-8f0e-0c8a5a7f1b22',
    secret: true,
  }),
  LOG_LEVEL: setting(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'), {
    about: 'The lowest level of log lines to write.',
    example: 'debug',
  }),
  PREPARE_AHEAD: setting(envBoolean.default(false), {
    about: 'Whether to prepare for a job before it is offered. A miner sets this for an executor that it keeps warm.',
    example: 'true',
  }),
  EXECUTOR_GPU_DEVICE_IDS: setting(gpuDevices.optional(), {
    about:
      "This executor's NVIDIA GPUs: all, none, or ids separated by commas. " +
      'Unset: all if the engine has an NVIDIA runtime, else none.',
    example: '0,1',
  }),
  DEBUG_NO_GPU_MODE: setting(envBoolean.default(false), {
    about: 'Whether jobs that ask for NVIDIA GPUs run without them. For tests of a miner on a host without GPUs.',
    example: '1',
  }),
  PYTHON_IMAGE: setting(image.default('python:3.11-slim'), {
    about: 'The image that runs raw scripts.',
    example: 'compute-horde/python:3.11',
  }),
  PYTHON_NVIDIA_IMAGE: setting(image.default('python:3.11-slim'), {
    about: 'The image that runs raw scripts with the preset nvidia_all.',
    example: 'pytorch/pytorch:2.4.1-cuda12.4-cudnn9-runtime',
  }),
  IMAGE_ALIASES: setting(aliases.default([]), {
    about: 'Images to use in place of those that jobs name, as wanted=used, separated by commas.',
    example: 'python:3.11-slim=compute-horde/python:3.11',
  }),
  IMAGE_PULL_POLICY: setting(z.enum(['missing', 'latest', 'always', 'never']).default('latest'), {
    about:
      'When to pull an image: missing (only if this host lacks it), latest (also to refresh latest and *-latest), ' +
      'always, or never. If a refresh fails, the image on this host is used.',
    example: 'missing',
  }),
  PULL_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about: 'How long pulling an image may take, in seconds.',
    example: '600',
  }),
  REFRESH_TIMEOUT_SECONDS: setting(seconds.default(30), {
    about:
      'How long a registry may take to begin sending a newer version of an image on this host, in seconds. ' +
      'After that PULL_TIMEOUT_SECONDS applies.',
    example: '10',
  }),
  DOCKER_AUTH_CONFIG: setting(registryAuths.optional(), {
    about: "Credentials for private registries: the JSON of Docker's config.json, with an auth for each registry.",
    example: '{"auths":{"registry.example.com:5000":{"auth":"dXNlcjpwYXNzd29yZA=="}}}',
    secret: true,
  }),
  REQUIRE_IMAGE_DIGEST: setting(envBoolean.default(false), {
    about: 'Whether to refuse jobs whose image, after applying IMAGE_ALIASES, is not named by its digest.',
    example: 'true',
  }),
  PRELOAD_IMAGES: setting(images.default([]), {
    about: 'Images that the command preload pulls, separated by commas. They are never removed.',
    example: 'python:3.11-slim,registry.example.com/tool:1',
  }),
  PINNED_IMAGES: setting(images.default([]), {
    about:
      'More images that are never removed, separated by commas. ' +
      'The Python images and the targets of aliases are never removed either.',
    example: 'registry.example.com/model:2',
  }),
  IMAGE_DISK_THRESHOLD_PERCENT: setting(envInteger({ min: 1, max: 100 }).default(80), {
    about:
      "How full the engine's disk may be, in percent. Above it, images that executors pulled are removed, " +
      'the least recently used first.',
    example: '90',
  }),
  OFFER_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about:
      'How long a connected executor waits for the offer of a job before it exits, in seconds. ' +
      'Does not apply with PREPARE_AHEAD.',
    example: '60',
  }),
  WORK_TIMEOUT_SECONDS: setting(seconds.default(900), {
    about: 'How long a ready executor waits for the work before it abandons the job, in seconds.',
    example: '600',
  }),
  DEFAULT_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about: 'The time limit of a job that is offered without one, in seconds.',
    example: '600',
  }),
  INPUT_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about: "How long fetching and unpacking a job's input may take, in seconds.",
    example: '60',
  }),
  UPLOAD_TIMEOUT_SECONDS: setting(seconds.default(300), {
    about: "How long zipping and uploading a job's output may take, in seconds.",
    example: '60',
  }),
  VOLUME_MAX_SIZE_BYTES: setting(bytes.default(2_048 * MIB), {
    about:
      "The most bytes that all of a job's volumes may have together, both as they come and unpacked. " +
      'While they are unpacked, both are on the disk: a job takes up to twice as much.',
    example: '1073741824',
  }),
  VOLUME_MAX_FILES: setting(envInteger({ min: 1 }).default(10_000), {
    about: "The most files and folders that all of a job's volumes may have together.",
    example: '1000',
  }),
  INPUT_CACHE_FOLDER: setting(absolutePath.optional(), {
    about:
      'The folder in which the executors of this host keep downloaded inputs for later jobs; ' +
      'best on the file system of the temporary folder. Unset: nothing is kept.',
    example: '/var/lib/compute-horde/inputs',
  }),
  INPUT_CACHE_MAX_BYTES: setting(bytes.default(20_480 * MIB), {
    about: 'The most bytes in INPUT_CACHE_FOLDER. Above it the least recently used inputs are removed.',
    example: '107374182400',
  }),
  INPUT_CACHE_MAX_AGE_SECONDS: setting(envInteger({ min: 1, max: 31_536_000 }).default(604_800), {
    about: 'How long an input that no job uses is kept in INPUT_CACHE_FOLDER, in seconds.',
    example: '86400',
  }),
  HF_ENDPOINT: setting(hubUrl.default('https://huggingface.co'), {
    about:
      'Where repositories of Hugging Face are loaded from: the hub or a mirror of it, ' +
      'which may be in a private network.',
    example: 'https://hf-mirror.example.com',
  }),
  HF_ACCESS_TOKEN: setting(hubToken.optional(), {
    about:
      'The token of Hugging Face for jobs whose only volume is a repository and that bring no token of their own: ' +
      'they can read all that it can.',
    example: 'hf_abcdefghijklmnopqrstuvwxyz',
    secret: true,
  }),
  OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES: setting(bytes.default(2_048 * MIB), {
    about: 'The largest file that is uploaded, the zip of outputs or a single one, in bytes.',
    example: '1073741824',
  }),
  OUTPUT_MAX_SIZE_BYTES: setting(bytes.default(2_048 * MIB), {
    about:
      'The most that /output may hold, and that the artifacts folder may hold, in bytes. ' +
      "Both are kept in memory and count towards the job's memory.",
    example: '4294967296',
  }),
  OUTPUT_MAX_FILES: setting(envInteger({ min: 1 }).default(1_000), {
    about: 'The most output files in a zip.',
    example: '100',
  }),
  // The texts on the wire are cut from the whole output, and a string in Node holds at most half a gigabyte.
  MAX_OUTPUT_BYTES: setting(envInteger({ min: 1, max: 256 * MIB }).default(64 * MIB), {
    about: 'The most that a job may print to stdout and stderr together, in bytes. Above it the job is killed.',
    example: '10485760',
  }),
  ALLOW_PRIVATE_TARGETS: setting(envBoolean.default(false), {
    about: 'Whether input and output URLs may lead to private networks or this machine. For local use only.',
    example: 'true',
  }),
  MEMORY_LIMIT_BYTES: setting(envInteger({ min: 64 * MIB }).optional(), {
    about:
      "A job's memory in bytes, including what it writes to /output, /tmp, /dev/shm and its home. " +
      "Unset: three quarters of the host's memory.",
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
    about: "The size of /tmp, of the home, and of the image's VOLUME folders together, each in memory, in bytes.",
    example: '4294967296',
  }),
  SHM_SIZE_BYTES: setting(envInteger({ min: MIB }).default(256 * MIB), {
    about: 'The size of /dev/shm in bytes, in memory.',
    example: '1073741824',
  }),
  FOLDER_MAX_FILES: setting(envInteger({ min: 64 }).default(100_000), {
    about: 'How many files and folders each writable folder of a job can hold: /output, /tmp, /dev/shm, its home.',
    example: '1000000',
  }),
  WRITABLE_ROOT: setting(envBoolean.default(false), {
    about:
      "Whether jobs may write to all folders of their image. Weaker: these writes lie on the engine's disk, " +
      'and only their size is measured, every ROOT_WATCH_SECONDS.',
    example: 'true',
  }),
  ROOT_MAX_SIZE_BYTES: setting(envInteger({ min: MIB }).default(4096 * MIB), {
    about:
      'With WRITABLE_ROOT, how much a job may write to the folders of its image, in bytes. Above it the job is killed.',
    example: '21474836480',
  }),
  ROOT_WATCH_SECONDS: setting(envNumber({ min: 0.1, max: 3_600 }).default(2), {
    about: "With WRITABLE_ROOT, how often the size of a job's writes is measured, in seconds.",
    example: '10',
  }),
  WRITABLE_VOLUME: setting(envBoolean.default(false), {
    about:
      'Whether jobs may write to /volume, for old images that need it. Their input is then kept in memory, up to ' +
      'VOLUME_MAX_SIZE_BYTES.',
    example: 'true',
  }),
  RUNTIME: setting(z.string().optional(), {
    about: "The engine's runtime for job containers. Unset: the engine's default.",
    example: 'runsc',
  }),
  KNOWN_ESCAPES: setting(z.enum(['refuse', 'warn']).default('refuse'), {
    about:
      'What to do if this host has a known flaw that lets jobs escape from their container: refuse all jobs, or warn.',
    example: 'warn',
  }),
  HOST_CHECK_MAX_AGE_SECONDS: setting(envInteger({ min: 0, max: 86_400 }).default(3_600), {
    about: 'How long a good check of the host stays valid, in seconds.',
    example: '600',
  }),
  ENGINE_CALL_SECONDS: setting(envInteger({ min: 1, max: 600 }).default(60), {
    about: 'How long the container engine may take to answer a plain call, in seconds.',
    example: '120',
  }),
  STATE_FOLDER: setting(absolutePath.optional(), {
    about:
      'The folder in which the executors of this host keep what they learned. ' +
      'Unset: .local/state/compute-horde in the home folder.',
    example: '/var/lib/compute-horde',
  }),
  HEALTH_ADDRESS: setting(healthAddress.optional(), {
    about:
      'Where to serve /health and /metrics, on this machine only: 127.0.0.1:port, [::1]:port or unix:/path. ' +
      'Unset: nowhere.',
    example: 'unix:/run/compute-horde/executor.sock',
  }),
  RECONNECT_ATTEMPTS: setting(envInteger({ min: 1, max: 100 }).default(6), {
    about: 'How many connections to the miner in a row may fail before the executor gives up.',
    example: '3',
  }),
  RECONNECT_DELAY_SECONDS: setting(envNumber({ min: 0.01, max: 60 }).default(2), {
    about: 'The first delay before dialling the miner again, in seconds. It doubles up to 16 times its value.',
    example: '1',
  }),
})

export type ExecutorSettings = SettingsOf<typeof settings>

const { MINER_ADDRESS: _, EXECUTOR_TOKEN: __, PREPARE_AHEAD: ___, ...ofHost } = settings
/** The settings for the operator's commands: all but those that a miner gives to each executor. */
export const hostSettings = defineSettings(ofHost)

export type HostSettings = SettingsOf<typeof hostSettings>
