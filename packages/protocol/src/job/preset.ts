/** What a job may need of the container engine. */
export const PRESETS = ['none', 'nvidia_all'] as const
export type Preset = (typeof PRESETS)[number]

/** Returns whether a name is a preset. The executor fails a job with any other. */
export function isPreset(name: string): name is Preset {
  return (PRESETS as readonly string[]).includes(name)
}
