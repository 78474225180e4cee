/** Converts volumes between v2026 and the vocabulary of ../../job. */
import type { Volume } from '../../job/volumes.ts'
import type * as wire from '../job.ts'

export function volumesFromV2026(volume: wire.Volume | null): Volume[] {
  if (volume === null) return []
  return volume.volume_type === 'multi_volume' ? volume.volumes.map(volumeOf) : [volumeOf(volume)]
}

/** One volume stands alone: Python executors give a lone one from Hugging Face their own access token. */
export function volumesToV2026(volumes: readonly Volume[]): wire.Volume | null {
  const [first, ...others] = volumes.map(wireVolumeOf)
  if (first === undefined) return null
  return others.length === 0 ? first : { volume_type: 'multi_volume', volumes: [first, ...others] }
}

const REPO_TYPES = ['model', 'dataset', 'space'] as const

function volumeOf(volume: wire.SingleVolume): Volume {
  switch (volume.volume_type) {
    case 'inline':
      return { kind: 'inline-zip', base64: volume.contents, folder: volume.relative_path }
    case 'zip_url':
      return { kind: 'zip-url', url: volume.contents, folder: volume.relative_path }
    case 'single_file':
      return { kind: 'file-url', url: volume.url, path: volume.relative_path }
    case 'huggingface_volume':
      return {
        kind: 'hugging-face',
        repoId: volume.repo_id,
        repoType: REPO_TYPES.find(type => type === volume.repo_type) ?? null,
        revision: volume.revision,
        allowPatterns: typeof volume.allow_patterns === 'string' ? [volume.allow_patterns] : volume.allow_patterns,
        token: volume.token,
        folder: volume.relative_path,
      }
  }
}

function wireVolumeOf(volume: Volume): wire.SingleVolume {
  switch (volume.kind) {
    case 'inline-zip':
      return { volume_type: 'inline', contents: volume.base64, relative_path: volume.folder }
    case 'zip-url':
      return { volume_type: 'zip_url', contents: volume.url, relative_path: volume.folder }
    case 'file-url':
      return { volume_type: 'single_file', url: volume.url, relative_path: volume.path }
    case 'hugging-face':
      return {
        volume_type: 'huggingface_volume',
        repo_id: volume.repoId,
        repo_type: volume.repoType,
        revision: volume.revision,
        relative_path: volume.folder,
        allow_patterns: volume.allowPatterns,
        token: volume.token,
      }
  }
}
