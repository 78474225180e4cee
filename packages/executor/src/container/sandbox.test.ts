import { expect, test } from 'vitest'
import {
  artifactsPath,
  containerOptions,
  homeOf,
  memoryVolume,
  type SandboxedJob,
  type SandboxLimits,
  volumeFolders,
} from './sandbox.ts'

const LIMITS: SandboxLimits = {
  memoryBytes: 2 ** 30,
  cpus: 1.5,
  pids: 100,
  openFiles: 1024,
  tmpBytes: 1_000_000,
  shmBytes: 64_000,
  outputBytes: 5_000_000,
  writableVolumeBytes: undefined,
  filesPerFolder: 300,
  writableRootBytes: undefined,
  runtime: undefined,
}
const JOB: SandboxedJob = {
  image: 'image:tag',
  command: ['a', 'b c'],
  env: {},
  inputVolume: 'in',
  outputVolume: 'out',
  scriptPath: undefined,
  hostnamePath: undefined,
  gpus: undefined,
  imageFolders: [{ folder: '/root', volume: 'home' }],
  artifacts: undefined,
  labels: { label: 'value' },
}

test('asks the engine for a container with every limit', () => {
  expect(containerOptions(JOB, LIMITS)).toMatchInlineSnapshot(`
    {
      "AttachStderr": true,
      "AttachStdin": false,
      "AttachStdout": true,
      "Cmd": [
        "a",
        "b c",
      ],
      "Env": [
        "NVIDIA_VISIBLE_DEVICES=void",
      ],
      "Healthcheck": {
        "Test": [
          "NONE",
        ],
      },
      "HostConfig": {
        "CapDrop": [
          "ALL",
        ],
        "CgroupnsMode": "private",
        "Init": true,
        "IpcMode": "private",
        "LogConfig": {
          "Config": {},
          "Type": "none",
        },
        "Memory": 1073741824,
        "MemorySwap": 1073741824,
        "Mounts": [
          {
            "ReadOnly": true,
            "Source": "in",
            "Target": "/volume",
            "Type": "volume",
            "VolumeOptions": {
              "DriverConfig": {
                "Name": "",
                "Options": {},
              },
              "Labels": {},
              "NoCopy": true,
            },
          },
          {
            "ReadOnly": false,
            "Source": "out",
            "Target": "/output",
            "Type": "volume",
            "VolumeOptions": {
              "DriverConfig": {
                "Name": "",
                "Options": {},
              },
              "Labels": {},
              "NoCopy": true,
            },
          },
          {
            "ReadOnly": false,
            "Source": "home",
            "Target": "/root",
            "Type": "volume",
            "VolumeOptions": {
              "DriverConfig": {
                "Name": "",
                "Options": {},
              },
              "Labels": {},
              "NoCopy": false,
            },
          },
        ],
        "NanoCpus": 1500000000,
        "NetworkMode": "none",
        "PidsLimit": 100,
        "ReadonlyRootfs": true,
        "RestartPolicy": {
          "Name": "no",
        },
        "SecurityOpt": [
          "no-new-privileges",
        ],
        "ShmSize": 64000,
        "Tmpfs": {
          "/dev/shm": "rw,nosuid,nodev,mode=1777,size=64000,nr_inodes=300,noexec",
          "/specs": "ro,nosuid,nodev,noexec,mode=0555,size=4096,nr_inodes=1",
          "/tmp": "rw,nosuid,nodev,mode=1777,size=1000000,nr_inodes=300,exec",
        },
        "Ulimits": [
          {
            "Hard": 1024,
            "Name": "nofile",
            "Soft": 1024,
          },
          {
            "Hard": 5000000,
            "Name": "fsize",
            "Soft": 5000000,
          },
          {
            "Hard": 0,
            "Name": "core",
            "Soft": 0,
          },
          {
            "Hard": 2048,
            "Name": "sigpending",
            "Soft": 2048,
          },
          {
            "Hard": 409600,
            "Name": "msgqueue",
            "Soft": 409600,
          },
        ],
      },
      "Image": "image:tag",
      "Labels": {
        "label": "value",
      },
      "NetworkDisabled": true,
      "OpenStdin": false,
      "Tty": false,
    }
  `)
})

test("runs the image's own command without arguments", () => {
  expect(containerOptions({ ...JOB, command: [] }, LIMITS)).not.toHaveProperty('Cmd')
})

test.each([
  ['a raw script', { scriptPath: '/where/file' }, '/script.py'],
  ["the host's name", { hostnamePath: '/where/file' }, '/etc/hostname'],
])('mounts %s read-only, as one file', (_, part, target) => {
  const { HostConfig } = containerOptions({ ...JOB, ...part }, LIMITS)
  const file = { Type: 'bind', Source: '/where/file', Target: target, ReadOnly: true }
  expect(HostConfig?.Mounts?.filter(({ Type }) => Type === 'bind')).toEqual([file])
})

test.each([
  ['all' as const, { Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }],
  [['0', '3'], { Driver: 'nvidia', DeviceIDs: ['0', '3'], Capabilities: [['gpu']] }],
])('requests the GPUs %s', (gpus, request) => {
  expect(containerOptions({ ...JOB, gpus }, LIMITS).HostConfig?.DeviceRequests).toEqual([request])
})

test.each([
  [undefined, 'void'],
  ['all' as const, 'all'],
  [['0', '3'], '0,3'],
])(
  "an image cannot ask for more GPUs than %s: NVIDIA's runtime, where it is the default, obeys the environment",
  (gpus, devices) => {
    expect(containerOptions({ ...JOB, gpus }, LIMITS).Env).toContain(`NVIDIA_VISIBLE_DEVICES=${devices}`)
  },
)

test('refuses the devices that an image asks for along with its GPUs: networks, disks, switches, channels', () => {
  const { Env } = containerOptions({ ...JOB, gpus: ['0'] }, LIMITS)
  expect(Env?.slice(1)).toEqual([
    'NVIDIA_GDS=disabled',
    'NVIDIA_MOFED=disabled',
    'NVIDIA_NVSWITCH=disabled',
    'NVIDIA_GDRCOPY=disabled',
    'NVIDIA_IMEX_CHANNELS=void',
  ])
})

test('keeps the folders in memory with a writable root, and allows files as large as it', () => {
  const { HostConfig } = containerOptions(JOB, { ...LIMITS, writableRootBytes: 9_000_000, runtime: 'runsc' })
  expect(HostConfig).toMatchObject({ ReadonlyRootfs: false, Runtime: 'runsc' })
  expect(Object.keys(HostConfig?.Tmpfs ?? {})).toEqual(['/tmp', '/dev/shm', '/specs'])
  expect(HostConfig?.Ulimits).toContainEqual({ Name: 'fsize', Soft: 9_000_000, Hard: 9_000_000 })
})

test('makes /volume writable where the limits say so', () => {
  const { HostConfig } = containerOptions(JOB, { ...LIMITS, writableVolumeBytes: 1_000 })
  expect(HostConfig?.Mounts).toContainEqual(expect.objectContaining({ Target: '/volume', ReadOnly: false }))
})

test('limits size and number of files of a volume in memory', () => {
  expect(memoryVolume(1_000, 20)).toEqual({
    type: 'tmpfs',
    device: 'tmpfs',
    o: 'nosuid,nodev,mode=1777,size=1000,nr_inodes=20',
  })
})

test.each([
  [{ user: '', env: [] }, '/root'],
  [{ user: 'root:root', env: ['PATH=/bin'] }, '/root'],
  [{ user: '0', env: ['HOME=/data/'] }, '/data'],
  [{ user: '0', env: ['HOME=//data/./x'] }, '/data/x'],
  [{ user: 'job', env: [] }, undefined],
])('the home of %j is %s', (image, home) => {
  expect(homeOf(image)).toBe(home)
})

test.each([
  '/',
  '',
  'relative',
  '/a/../b',
  '/tmp',
  '/proc',
  '/proc/self',
  '/volume',
  '/output/home',
  '/dev/shm',
  '/sys',
])('gives HOME=%s no volume', home => {
  expect(homeOf({ user: '', env: [`HOME=${home}`] })).toBeUndefined()
})

test.each([
  [
    ['/data', 'relative/', '/data/', '/a/./b'],
    ['/data', '/relative', '/a/b'],
  ],
  [['/volume', '/output/', '/tmp', '/dev/shm', '/specs'], []],
  [['/'], undefined],
  [['/data/..'], undefined],
  [['/data', '/output/sub'], undefined],
  [['/volume/x'], undefined],
  [['/a/../output/x'], undefined],
  [
    ['/outputs', '/volume2'],
    ['/outputs', '/volume2'],
  ],
])('turns the volumes %j into the folders %j', (volumes, folders) => {
  expect(volumeFolders(volumes)).toEqual(folders)
})

test('has the variables of the job before its own, which the job cannot replace', () => {
  const env = { A: '1', NVIDIA_VISIBLE_DEVICES: 'all' }
  expect(containerOptions({ ...JOB, env }, LIMITS).Env).toEqual(['A=1', 'NVIDIA_VISIBLE_DEVICES=void'])
})

test('mounts the artifacts folder, writable and without the files of the image', () => {
  const artifacts = { folder: '/artifacts', volume: 'artifacts' }
  const { HostConfig } = containerOptions({ ...JOB, artifacts }, LIMITS)
  expect(HostConfig?.Mounts?.find(({ Target }) => Target === '/artifacts')).toMatchObject({
    Source: 'artifacts',
    ReadOnly: false,
    VolumeOptions: { NoCopy: true },
  })
})

test.each([
  ['/artifacts', '/artifacts'],
  ['/artifacts/', '/artifacts'],
  ['//a//./b', '/a/b'],
  ['/tmp/artifacts', '/tmp/artifacts'],
  ['/volumes', '/volumes'],
  ['/', undefined],
  ['/tmp', undefined],
  ['/output', undefined],
  ['/output/artifacts', undefined],
  ['/volume/a', undefined],
  ['/specs', undefined],
  ['/proc/self', undefined],
  ['/dev/shm/a', undefined],
  ['/script.py', undefined],
  ['/a/../output', undefined],
  ['artifacts', undefined],
  ['', undefined],
  ['/a\0b', undefined],
])('has artifacts named %j at %j', (named, folder) => {
  expect(artifactsPath(named)).toBe(folder)
})
