import { expect, test } from 'vitest'
import { containerOptions, homeOf, type SandboxedJob, type SandboxLimits } from './sandbox.ts'

const LIMITS: SandboxLimits = {
  memoryBytes: 2 ** 30,
  cpus: 1.5,
  pids: 100,
  openFiles: 1024,
  tmpBytes: 1_000_000,
  shmBytes: 64_000,
  fileBytes: 5_000_000,
  writableRoot: false,
  runtime: undefined,
}
const JOB: SandboxedJob = {
  image: 'image:tag',
  command: ['a', 'b c'],
  inputVolume: 'in',
  outputVolume: 'out',
  scriptPath: undefined,
  gpus: undefined,
  home: '/root',
  labels: { label: 'value' },
}

test('what the engine is asked for, in full', () => {
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
          "/root": "rw,exec,nosuid,nodev,mode=1777,size=1000000",
          "/tmp": "rw,exec,nosuid,nodev,mode=1777,size=1000000",
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

test('without arguments the image runs its own', () => {
  expect(containerOptions({ ...JOB, command: [] }, LIMITS)).not.toHaveProperty('Cmd')
})

test('a raw script is mounted read-only, as one file', () => {
  const { HostConfig } = containerOptions({ ...JOB, scriptPath: '/where/script.py' }, LIMITS)
  expect(HostConfig?.Mounts).toContainEqual({
    Type: 'bind',
    Source: '/where/script.py',
    Target: '/script.py',
    ReadOnly: true,
  })
})

test.each([
  ['all' as const, { Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }],
  [['0', '3'], { Driver: 'nvidia', DeviceIDs: ['0', '3'], Capabilities: [['gpu']] }],
])('GPUs %s', (gpus, request) => {
  expect(containerOptions({ ...JOB, gpus }, LIMITS).HostConfig?.DeviceRequests).toEqual([request])
})

test.each([
  [undefined, 'void'],
  ['all' as const, 'all'],
  [['0', '3'], '0,3'],
])(
  "an image cannot ask for more GPUs than %s: NVIDIA's runtime, where it is the default, obeys the environment",
  (gpus, devices) => {
    expect(containerOptions({ ...JOB, gpus }, LIMITS).Env).toEqual([`NVIDIA_VISIBLE_DEVICES=${devices}`])
  },
)

test('a writable root has no folders in memory', () => {
  const { HostConfig } = containerOptions(JOB, { ...LIMITS, writableRoot: true, runtime: 'runsc' })
  expect(HostConfig).toMatchObject({ ReadonlyRootfs: false, Runtime: 'runsc' })
  expect(HostConfig).not.toHaveProperty('Tmpfs')
})

test.each([
  [{ user: '', env: [] }, '/root'],
  [{ user: 'root:root', env: ['PATH=/bin'] }, '/root'],
  [{ user: '0', env: ['HOME=/data'] }, '/data'],
  [{ user: 'job', env: ['HOME=/tmp'] }, '/tmp'],
  [{ user: 'job', env: [] }, undefined],
  [{ user: '', env: ['HOME=/'] }, undefined],
  [{ user: '', env: ['HOME=relative'] }, undefined],
  [{ user: '', env: ['HOME=/a/../b'] }, undefined],
])('the home of %j is %s', (image, home) => {
  expect(homeOf(image)).toBe(home)
})
