import { hostileImages } from '@horde/testing/hostile/catalogue'
import { testTrials } from './hostile/test-trials.ts'

testTrials('hostile images', hostileImages)
