import { hostileScripts } from '@horde/testing/hostile/catalogue'
import { testTrials } from './hostile/test-trials.ts'

testTrials('hostile scripts', hostileScripts)
