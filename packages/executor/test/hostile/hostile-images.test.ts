import { hostileImages } from '@horde/testing/hostile/catalogue'
import { testTrials } from './test-trials.ts'

testTrials('hostile images', hostileImages)
